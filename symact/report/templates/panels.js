// What an optimizer learned: charts of five kinds, whatever the optimizer.

const CHARTS = {
  lines: (chart) => lineChart({ ...chart, series: chart.series.map((one) => ({ ...one, dots: chart.x.length < 40 })) }),
  scatter: (chart, study, grid) => {
    const host = el('div', { class: 'chart' });
    const ink = colour('--c0');
    const points = { x: chart.x, y: chart.y, order: chart.x.map((_, i) => i), get fill() { const now = colour('--c0'); return chart.x.map(() => now || ink); } };
    const rows = new Map(study.rows.map((row) => [row.number, row]));
    pointChart(host, points, {
      across: chart.across, up: chart.up, diagonal: chart.diagonal, height: 340, range: () => [-1.08, 1.08],
      hover: (i, u) => showTip(i < 0 ? null : rows.get(chart.numbers[i]), grid, u.over, u.cursor.left, u.cursor.top),
    });
    return el('div', {}, host);
  },
  shares: (chart) => {
    const groups = chart.groups.map((group) => el('div', {}, el('h3', {}, group.name), ...group.parts.map(([name, share]) => el('div', { class: 'share' }, expression(name), el('meter', { min: 0, max: 1, value: share, 'aria-label': name }), el('span', { class: 'number' }, `${(100 * share).toFixed(0)} %`)))));
    return el('div', { class: 'whole' }, chart.title ? el('h3', {}, chart.title) : null, el('div', { class: 'shares' }, ...groups));
  },
  table: (chart) => {
    const rows = chart.rows.map((row) => el('tr', {}, ...row.map((text, place) => el('td', {}, chart.head[place] === chart.expressions ? expression(text) : text))));
    const made = el('div', { class: 'wide whole' }, el('table', {}, el('thead', {}, el('tr', {}, ...chart.head.map((text) => el('th', { scope: 'col' }, text)))), el('tbody', {}, ...rows)));
    return chart.folded ? el('details', { class: 'whole' }, el('summary', {}, chart.folded), made) : made;
  },
  tree: (chart, study, grid) => {
    const rows = new Map(study.rows.map((row) => [row.number, row]));
    const seen = new Set();
    const branch = (place) => {
      const node = chart.nodes[place], row = rows.get(node.number), again = seen.has(place);
      seen.add(place);
      const label = el('span', {}, expression(node.text), ' ', el('span', { class: 'soft small' }, node.score === null ? 'failed' : number(node.score)), ' ', el('span', { class: 'how' }, node.how || node.origin), again && node.parents.length ? el('span', { class: 'soft small' }, ' (parents above)') : null);
      const item = el('li', {}, el('div', { class: 'node' }, row ? smallCurve(row, grid) : null, label));
      if (!again && node.parents.length) item.append(el('ul', { class: 'tree' }, ...node.parents.map(branch)));
      return item;
    };
    return el('div', { class: 'wide whole' }, el('ul', { class: 'tree' }, branch(0)));
  },
};

function panelSections(study, grid) {
  return study.panels.map((panel) => el('section', { class: 'panel' }, el('h2', {}, panel.title), el('p', { class: 'soft small' }, panel.text), el('div', { class: 'charts' }, ...panel.charts.map((chart) => CHARTS[chart.kind](chart, study, grid)))));
}
