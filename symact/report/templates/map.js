// The map: every function that was tried, where those with like outputs stand close together.

// Viridis (Smith, van der Walt & Firing 2015, CC0) at nine places; its ends are readable on light and on dark ground.
const SCALE = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

function shade(share) {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const at = (dark ? 0.12 + 0.88 * share : 0.94 * share) * (SCALE.length - 1), low = Math.min(SCALE.length - 2, Math.floor(at));
  const mixed = SCALE[low].map((value, i) => Math.round(value + (SCALE[low + 1][i] - value) * (at - low)));
  return `rgb(${mixed.join(',')})`;
}

// Ranks, not scores, choose the colour: a few very bad functions would leave one colour for all others.
function shares(scores) {
  const known = scores.filter((score) => score !== null).sort((a, b) => (lower() ? b - a : a - b));
  const place = new Map();
  known.forEach((score, index) => { if (!place.has(score)) place.set(score, index); });
  return scores.map((score) => (score === null ? null : known.length > 1 ? place.get(score) / (known.length - 1) : 1));
}

function card(row, grid) {
  const parts = [expression(row.shown), smallCurve(row, grid, true)];
  const score = finished(row) ? `score ${number(row.score)}` : row.status.replaceAll('_', ' ');
  parts.push(el('div', { class: 'soft' }, `${score}${fresh(row) === null ? '' : `, fresh seeds ${number(fresh(row))}`} (${row.origin})`));
  return parts;
}

function showTip(row, grid, box, left, top) {
  const tip = document.getElementById('tip');
  if (!row) { tip.hidden = true; return; }
  tip.replaceChildren(...card(row, grid));
  tip.hidden = false;
  const at = box.getBoundingClientRect(), wide = tip.offsetWidth;
  let x = at.left + left + 16;
  if (x + wide > document.documentElement.clientWidth - 6) x = Math.max(6, at.left + left - wide - 16);
  tip.style.left = `${x + scrollX}px`;
  tip.style.top = `${at.top + top + 14 + scrollY}px`;
}

function functionMap(study, grid, state) {
  // The chart wants its points in the order of x.
  const rows = study.rows.filter((row) => row.at).sort((a, b) => a.at[0] - b.at[0]);
  if (rows.length < 5 || !rows.some(finished)) return null;
  state.pinned ??= [];
  const box = el('section', { class: 'map' }, el('h2', {}, 'The map of all functions tried'));
  const left = study.rows.length - rows.length;
  box.append(el('p', { class: 'soft small' }, `Each dot is a function; those with similar outputs stand close together (UMAP). Point at one to see it, click to pin it, drag to enlarge, double-click to go back.${left ? ` ${left} that are not finite everywhere${study.goal > study.evaluated ? ', or new,' : ''} are left out.` : ''}`));
  const host = el('div', { class: 'chart' }), pins = el('div', { class: 'pins' });
  const share = shares(rows.map((row) => (finished(row) ? row.score : null)));
  const none = () => `color-mix(in srgb, ${colour('--c6')} 45%, ${colour('--paper')})`;
  const fills = () => {
    const failed = none();
    return share.map((value) => (value === null ? failed : shade(Math.round(value * 48) / 48)));
  };
  // The best are drawn last, on top.
  const order = rows.map((_, i) => i).sort((a, b) => (share[a] ?? -1) - (share[b] ?? -1));
  const points = { x: rows.map((row) => row.at[0]), y: rows.map((row) => row.at[1]), order, get fill() { return (this.kept ??= fills()); }, ring: (i) => state.pinned.includes(rows[i].number) || (rows[i].rank === 1 && finished(rows[i])) };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { points.kept = null; });
  const show = () => {
    pins.replaceChildren(...state.pinned.map((wanted) => rows.find((row) => row.number === wanted)).filter(Boolean).map((row) => {
      const away = el('button', { type: 'button', 'aria-label': 'unpin' }, '×');
      away.addEventListener('click', () => pin(row.number));
      return el('div', { class: 'pin' }, away, ...card(row, grid));
    }));
    if (host.chart) host.chart.redraw();
  };
  const pin = (wanted) => {
    state.pinned = state.pinned.includes(wanted) ? state.pinned.filter((one) => one !== wanted) : [...state.pinned, wanted];
    show();
  };
  pointChart(host, points, {
    bare: true, range: (u, low, high) => (low === high ? [low - 0.5, high + 0.5] : [low - 0.03 * (high - low), high + 0.03 * (high - low)]),
    hover: (i, u) => showTip(i < 0 ? null : rows[i], grid, u.over, u.cursor.left, u.cursor.top),
    pin: (i) => { if (i >= 0) pin(rows[i].number); },
  });
  box.append(host, scaleBar(), pins);
  show();
  return box;
}

function scaleBar() {
  const bar = el('canvas', { width: 130, height: 10 }), context = bar.getContext('2d');
  for (let i = 0; i < 130; i++) { context.fillStyle = shade(i / 129); context.fillRect(i, 0, 1, 10); }
  return el('div', { class: 'scale' }, 'worst', bar, 'best, by rank of the score', el('span', {}, el('span', { class: 'dot' }), 'failed'), el('span', {}, 'ringed: the winner, and what is pinned'));
}
