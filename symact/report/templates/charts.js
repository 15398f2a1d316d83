// Charts: thin wrappers of uPlot that follow the width of their place and the colours of the page.

// An element; `properties` are set on the object, what begins with a letter in `attributes` as attributes. Texts become
// text nodes: nothing that a study holds is ever read as markup.
function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === 'class') made.className = value;
    else if (name.includes('-') || name === 'role') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seriesColour = (index) => colour(`--c${index % 8}`);

// The metric of the study that is shown; its author may have said how a score is written.
let metric = {};
const lower = () => metric.direction === 'minimize';

function number(value, signed) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '';
  const size = Math.abs(value), asked = /^(,?)\.(\d+)([efg%])$/.exec(metric.number_format || '');
  let text;
  if (asked) {
    const digits = Math.min(Number(asked[2]), 20);
    if (asked[3] === 'e') text = value.toExponential(digits);
    else if (asked[3] === 'g') text = String(Number(value.toPrecision(Math.max(1, digits))));
    else text = (asked[3] === '%' ? 100 * value : value).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: asked[1] === ',' }) + (asked[3] === '%' ? '%' : '');
  } else text = size > 0 && size < 5e-5 ? value.toExponential(1) : size < 100 ? value.toFixed(4) : String(Number(value.toPrecision(6)));
  return (signed && value >= 0 ? '+' : '') + text.replaceAll('-', '\u2212');
}

const FLAT = 20; // times as high as without the first

// The part of the scores that is worth a chart: the best with room, and not the very worst. What is `wanted`, the first of
// a line of the best so far, is in it unless it is so far off that the rest would be flat.
function scoreRange(values, worst, spread, wanted) {
  const known = values.filter((value) => value !== null).sort((a, b) => (lower() ? b - a : a - b));
  if (!known.length) return [0, 1];
  const top = known[known.length - 1], usual = known[Math.floor(known.length * worst)];
  let end = usual - spread * (top - usual);
  if (lower() ? end > known[0] : end < known[0]) end = known[0];
  const farthest = top - FLAT * (top - end);
  for (const value of wanted) {
    if (value !== null && value !== undefined && (lower() ? value > end && value <= farthest : value < end && value >= farthest)) end = value;
  }
  const room = 0.06 * (top - end) || 0.1 * Math.abs(top) || 0.1;
  return [end - room, top + room].sort((a, b) => a - b);
}

const short = (value) => (value === null || value === undefined ? '' : String(Number(value.toPrecision(4))).replace('-', '\u2212'));

// What is drawn now; drawn again when the colours change or the live page has news.
const drawn = new Set();
const observer = new ResizeObserver((entries) => {
  for (const entry of entries) if (entry.target.redraw) entry.target.redraw(false);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawn.forEach((host) => (host.isConnected ? host.redraw(true) : drawn.delete(host))));

function keptUp(host, make) {
  let chart = null;
  host.redraw = (fresh) => {
    const width = Math.floor(host.clientWidth);
    if (!width) return;
    if (chart && !fresh && chart.width === width) return;
    if (chart && !fresh) { chart.setSize({ width, height: chart.height }); return; }
    if (chart) chart.destroy();
    host.replaceChildren();
    chart = make(width);
    host.chart = chart;
  };
  drawn.add(host);
  observer.observe(host);
  requestAnimationFrame(() => host.redraw(false));
  return host;
}

// Of what is counted there is no half.
const COUNTS = [1, 2, 5].flatMap((step) => Array.from({ length: 12 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);

function axes(across, up, counted) {
  const ink = colour('--soft'), line = { stroke: colour('--line'), width: 1 };
  const font = '12px system-ui, "DejaVu Sans", sans-serif';
  const common = { stroke: ink, grid: line, ticks: { ...line, size: 5 }, font, labelFont: font };
  const values = (_, splits) => splits.map((value) => (value === null ? '' : short(value)));
  return [
    { ...common, label: across || undefined, labelSize: 18, size: 30, values, ...(counted ? { incrs: COUNTS } : {}) },
    { ...common, label: up || undefined, labelSize: 18, size: 54, values },
  ];
}

// Lines over common x, as steps or along `paths`. Each series: {name, y, low?, high?, soft?, dots?}. The legend tells values under the cursor.
function lineChart(chart) {
  const box = el('div', {});
  if (chart.title) box.append(el('h3', {}, chart.title));
  const host = el('div', { class: 'chart' });
  const legend = el('div', { class: 'scale', role: 'group', 'aria-label': 'legend' });
  const shown = chart.series.map(() => true);
  const values = [];
  keptUp(host, (width) => {
    const data = [chart.x], series = [{}], bands = [], ends = [];
    const paths = chart.step ? uPlot.paths.stepped({ align: 1 }) : chart.paths;
    chart.series.forEach((one, index) => {
      const stroke = one.soft ? colour('--c6') : seriesColour(one.colour ?? index);
      const points = { show: Boolean(one.dots) || chart.x.length < 3, size: 5 };
      data.push(one.y);
      const at = data.length - 1;
      series.push({ label: one.name, stroke, width: one.soft ? 1.2 : 2, pxAlign: 0, dash: one.dash, paths: one.dots === 'only' ? () => null : paths, points: { ...points, fill: stroke, stroke }, show: shown[index], spanGaps: Boolean(chart.spans) });
      if (one.low) {
        for (const edge of [one.high, one.low]) {
          data.push(edge);
          series.push({ label: '', stroke: 'transparent', width: 0, paths, points: { show: false }, show: shown[index] });
        }
        bands.push({ series: [at + 1, at + 2], fill: `color-mix(in srgb, ${stroke} 20%, transparent)` });
      }
      ends.push([at, data.length - 1]);
    });
    const range = chart.range ? (_, low, high) => chart.range(low, high) : undefined;
    const made = new uPlot({
      width, height: chart.height || 240, legend: { show: false }, series, bands,
      scales: { x: { time: false, range: chart.x.length === 1 ? [chart.x[0] - 1, chart.x[0] + 1] : undefined }, y: range ? { range } : {} },
      axes: axes(chart.across, chart.up, chart.x.every(Number.isInteger)), cursor: { points: { size: 6 }, drag: { x: true, y: false } },
      hooks: { setCursor: [(u) => values.forEach((text, index) => {
        const value = u.cursor.idx === null || u.cursor.idx === undefined ? null : chart.series[index].y[u.cursor.idx];
        text.textContent = value === null || value === undefined ? '' : ` ${short(value)}`;
      })] },
    }, data, host);
    host.ends = ends;
    return made;
  });
  chart.series.forEach((one, index) => {
    const dot = el('span', { class: 'dot' });
    dot.style.background = `var(--c${one.soft ? 6 : (one.colour ?? index) % 8})`;
    dot.style.opacity = 1;
    values.push(el('span', {}));
    const item = el('button', { class: 'key', type: 'button', 'aria-pressed': 'true', title: 'show or hide' }, dot, one.name, values[index]);
    item.style.cssText = 'border:0;padding:1px 4px;background:none;font-size:12.5px;text-align:left;overflow-wrap:anywhere';
    item.addEventListener('click', () => {
      shown[index] = !shown[index];
      item.setAttribute('aria-pressed', String(shown[index]));
      item.style.opacity = shown[index] ? 1 : 0.4;
      for (let at = host.ends[index][0]; at <= host.ends[index][1]; at++) host.chart.setSeries(at, { show: shown[index] });
    });
    legend.append(item);
  });
  box.append(host, chart.series.length > 1 ? legend : '');
  return box;
}

// Points in the plane, for the map and for predictions. `points`: {x, y, colour(i), size, order}; tells which one is near.
function pointChart(host, points, options) {
  return keptUp(host, (width) => {
    const draw = (u) => {
      const context = u.ctx, ratio = devicePixelRatio || 1;
      context.save();
      context.beginPath();
      context.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      context.clip();
      if (options.diagonal) {
        context.strokeStyle = colour('--line');
        context.lineWidth = ratio;
        context.beginPath();
        context.moveTo(u.valToPos(-1, 'x', true), u.valToPos(-1, 'y', true));
        context.lineTo(u.valToPos(1, 'x', true), u.valToPos(1, 'y', true));
        context.stroke();
      }
      const many = points.x.length > 3000;
      const size = (many ? 2.2 : points.x.length > 500 ? 3.2 : 4.6) * ratio;
      let fill = '';
      for (const i of points.order) {
        const x = u.valToPos(points.x[i], 'x', true), y = u.valToPos(points.y[i], 'y', true);
        const next = points.fill[i];
        if (next !== fill) context.fillStyle = fill = next;
        if (many) context.fillRect(x - size, y - size, 2 * size, 2 * size);
        else { context.beginPath(); context.arc(x, y, size, 0, 7); context.fill(); }
        if (points.ring && points.ring(i)) {
          context.strokeStyle = colour('--ink');
          context.lineWidth = 1.4 * ratio;
          context.beginPath();
          context.arc(x, y, size + 2.4 * ratio, 0, 7);
          context.stroke();
        }
      }
      context.restore();
    };
    const near = (u) => {
      const left = u.cursor.left, top = u.cursor.top;
      if (left === undefined || left < 0) return -1;
      let best = -1, least = 22 * 22;
      for (let i = 0; i < points.x.length; i++) {
        const dx = u.valToPos(points.x[i], 'x') - left, dy = u.valToPos(points.y[i], 'y') - top;
        const away = dx * dx + dy * dy;
        if (away < least) { least = away; best = i; }
      }
      return best;
    };
    const chart = new uPlot({
      width, height: Math.min(options.height || 440, Math.max(280, width)), legend: { show: false },
      series: [{}, { paths: () => null, points: { show: false } }],
      scales: { x: { time: false, range: options.range }, y: { range: options.range } },
      axes: options.bare ? [{ show: false }, { show: false }] : axes(options.across, options.up),
      cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: true, dist: 6 } },
      hooks: { draw: [draw], setCursor: [(u) => options.hover(near(u), u)] },
    }, [points.x, points.y], host);
    chart.over.addEventListener('click', () => options.pin && options.pin(near(chart), chart));
    chart.over.addEventListener('mouseleave', () => options.hover(-1, chart));
    return chart;
  });
}
