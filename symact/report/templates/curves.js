// Small curves as SVG, and mathematics as MathML, both built node by node.

const SVG = 'http://www.w3.org/2000/svg', MATH = 'http://www.w3.org/1998/Math/MathML';
const ELEMENTS = new Set(['mrow', 'mi', 'mn', 'mo', 'mtext', 'msub', 'msup', 'msqrt', 'mfrac', 'mtable', 'mtr', 'mtd']);

const DIGITS = new Map([...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map((letter, value) => [letter, value]));

// What `curves.packed` in Python wrote: second differences of steps from -largest to largest.
function unpacked(text, grid) {
  if (!text) return null;
  const found = [];
  let slope = 0, step = 0, number = 0, weight = 1;
  for (const letter of text) {
    const digit = DIGITS.get(letter);
    number += (digit % 32) * weight;
    weight *= 32;
    if (digit >= 32) continue;
    slope += number % 2 ? -(number + 1) / 2 : number / 2;
    step += slope;
    found.push(step ? (step - 1) / grid.steps - grid.largest : null);
    number = 0;
    weight = 1;
  }
  return found;
}

// The small curves of a row as points to be joined by lines: {x, y, slope}, null where there is none. Each jump that
// Python found stands among them with both its ends, and a gap between.
function smallCurves(row, grid) {
  const values = unpacked(row.curve, grid), slopes = unpacked(row.slope, grid), made = { x: [], y: [], slope: [] };
  if (!values) return null;
  const add = (x, y, slope) => { made.x.push(x); made.y.push(y); made.slope.push(slope); };
  const left = (row.jumps || []).slice();
  values.forEach((value, i) => {
    const x = grid.low + ((grid.high - grid.low) * i) / (values.length - 1);
    while (left.length && left[0][0] < x - 1e-5) {
      const [at, before, behind, slopeBefore, slopeBehind] = left.shift();
      add(at, before, slopeBefore);
      add(at, before === behind ? before : null, slopeBefore === slopeBehind ? slopeBefore : null);
      add(at, behind, slopeBehind);
    }
    add(x, value, slopes[i]);
  });
  return made;
}

// An expression as code that may be broken after a bracket, a comma or an operator, and nowhere else if that will do.
const expression = (text) => el('code', {}, text.split(/(?<=[(,+*/])/).flatMap((part, place) => (place ? [document.createElement('wbr'), part] : [part])));

function smallCurve(row, grid, withSlope) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'curve');
  svg.setAttribute('viewBox', '0 0 100 56');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const drawn = smallCurves(row, grid);
  if (!drawn) return svg;
  const inside = drawn.y.filter((value) => value !== null && Math.abs(value) <= 5);
  if (!inside.length) return svg;
  let low = Math.min(...inside, 0), high = Math.max(...inside, 0.2);
  const margin = 0.06 * (high - low);
  low -= margin; high += margin;
  const x = (at) => (100 * (at - grid.low)) / (grid.high - grid.low), y = (value) => 56 * (1 - (value - low) / (high - low));
  const line = (x1, y1, x2, y2) => {
    const made = document.createElementNS(SVG, 'line');
    Object.entries({ x1, y1, x2, y2 }).forEach(([name, value]) => made.setAttribute(name, value.toFixed(1)));
    svg.append(made);
  };
  line(0, y(0), 100, y(0));
  line(50, 0, 50, 56);
  const path = (list, kind) => {
    let text = '', pen = false;
    list.forEach((value, i) => {
      if (value === null || value < low - 2 * (high - low) || value > high + 2 * (high - low)) { pen = false; return; }
      text += `${pen ? 'L' : 'M'}${x(drawn.x[i]).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    const made = document.createElementNS(SVG, 'path');
    made.setAttribute('d', text);
    if (kind) made.setAttribute('class', kind);
    svg.append(made);
  };
  if (withSlope) path(drawn.slope, 'slope');
  path(drawn.y, '');
  return svg;
}

function mathematics(tree) {
  if (typeof tree === 'string') return document.createTextNode(tree);
  const [name, ...children] = tree;
  const made = document.createElementNS(MATH, ELEMENTS.has(name) ? name : 'mrow');
  if (name === 'mtable') made.setAttribute('columnalign', 'left left');
  made.append(...children.map(mathematics));
  return made;
}

function formula(tree, text) {
  if (!tree) return expression(text);
  const math = document.createElementNS(MATH, 'math');
  math.setAttribute('displaystyle', 'true');
  math.append(mathematics(tree));
  return math;
}

// A path that ends at a null and begins again behind it. uPlot's own hides what it draws across a gap by its width, and
// the gap of a jump has none.
function joinedLines(u, at, first, last) {
  const stroke = new Path2D();
  let pen = false;
  for (let i = first; i <= last; i++) {
    const value = u.data[at][i];
    if (value === null || value === undefined) { pen = false; continue; }
    stroke[pen ? 'lineTo' : 'moveTo'](u.valToPos(u.data[0][i], 'x', true), u.valToPos(value, 'y', true));
    pen = true;
  }
  return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 1 };
}

// The function and its slope, large; null in their gaps.
function curveChart({ x, y, slope }, others, height) {
  const middle = y.filter((value) => value !== null && Math.abs(value) <= 6);
  const steepest = Math.max(...slope.map((value) => Math.abs(value ?? 0)));
  const steep = slope.filter((value) => value !== null && (steepest <= 8 || Math.abs(value) <= 4));
  const low = Math.min(-0.5, ...middle, ...steep), high = Math.max(1, ...middle, ...steep);
  const margin = 0.05 * (high - low);
  const series = [
    { name: 'function', y, colour: 0 },
    { name: 'derivative', y: slope, colour: 1 },
    ...others.map((other) => ({ ...other, soft: true, dash: [4, 4] })),
  ];
  return lineChart({ x, series, paths: joinedLines, across: 'x', up: '', height: height || 270, range: () => [low - margin, high + margin] });
}
