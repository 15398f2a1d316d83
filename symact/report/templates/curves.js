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

const gridX = (grid) => Array.from({ length: grid.points }, (_, i) => grid.low + ((grid.high - grid.low) * i) / (grid.points - 1));

// An expression as code that may be broken after a bracket, a comma or an operator, and nowhere else if that will do.
const expression = (text) => el('code', {}, text.split(/(?<=[(,+*/])/).flatMap((part, place) => (place ? [document.createElement('wbr'), part] : [part])));

// Values with a gap at each jump, so that no line is drawn across it.
function broken(values) {
  const steps = [];
  for (let i = 1; i < values.length; i++) if (values[i] !== null && values[i - 1] !== null) steps.push(Math.abs(values[i] - values[i - 1]));
  steps.sort((a, b) => a - b);
  const usual = steps.length ? steps[steps.length >> 1] : 0;
  return values.map((value, i) => (i && value !== null && values[i - 1] !== null && Math.abs(value - values[i - 1]) > 40 * usual + 0.4 ? null : value));
}

function smallCurve(row, grid, withSlope) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'curve');
  svg.setAttribute('viewBox', '0 0 100 56');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const values = unpacked(row.curve, grid);
  if (!values) return svg;
  const inside = values.filter((value) => value !== null && Math.abs(value) <= 5);
  if (!inside.length) return svg;
  let low = Math.min(...inside, 0), high = Math.max(...inside, 0.2);
  const margin = 0.06 * (high - low);
  low -= margin; high += margin;
  const x = (i) => (100 * i) / (grid.points - 1), y = (value) => 56 * (1 - (value - low) / (high - low));
  const line = (x1, y1, x2, y2) => {
    const made = document.createElementNS(SVG, 'line');
    Object.entries({ x1, y1, x2, y2 }).forEach(([name, value]) => made.setAttribute(name, value.toFixed(1)));
    svg.append(made);
  };
  line(0, y(0), 100, y(0));
  line(50, 0, 50, 56);
  const path = (list, kind) => {
    let text = '', pen = false;
    broken(list).forEach((value, i) => {
      if (value === null || value < low - 2 * (high - low) || value > high + 2 * (high - low)) { pen = false; return; }
      text += `${pen ? 'L' : 'M'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    const made = document.createElementNS(SVG, 'path');
    made.setAttribute('d', text);
    if (kind) made.setAttribute('class', kind);
    svg.append(made);
  };
  if (withSlope) path(unpacked(row.slope, grid), 'slope');
  path(values, '');
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

// The function and its slope, large.
function curveChart(x, y, slope, others, height) {
  const middle = y.filter((value) => value !== null && Math.abs(value) <= 6);
  const steep = slope.filter((value) => value !== null && Math.abs(value) <= 4);
  const low = Math.min(-0.5, ...middle, ...steep), high = Math.max(1, ...middle, ...steep);
  const margin = 0.05 * (high - low);
  const series = [
    { name: 'function', y: broken(y), colour: 0 },
    { name: 'derivative', y: broken(slope), colour: 1 },
    ...others.map((other) => ({ ...other, soft: true, dash: [4, 4] })),
  ];
  return lineChart({ x, series, across: 'x', up: '', height: height || 270, range: () => [low - margin, high + margin] });
}
