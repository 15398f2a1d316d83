// The leaderboard: sorts, filters, pages, opens rows, and can be taken home as CSV or JSON.

const PAGE = 25;

// Rows from the columns that `page.columns` in Python made of them; null is what a row does not have.
function rowsOf(columns) {
  const names = Object.keys(columns);
  return (columns[names[0]] || []).map((_, place) => Object.fromEntries(names.map((name) => [name, columns[name][place]])));
}

const difference = (versus) => (versus ? versus.difference : null);
const verdict = (versus) => (versus.better ? 'good' : versus.worse ? 'bad' : '');

function versusCell(versus) {
  if (!versus) return '';
  return [el('div', { class: verdict(versus) }, number(versus.difference, true)), el('div', { class: 'between' }, `${number(versus.low, true)} to ${number(versus.high, true)}`)];
}

function testCell(row) {
  if (!row.test) return '';
  const spread = row.test.sd === null ? [] : [el('div', { class: 'between' }, `± ${number(row.test.sd)}`)];
  return [el('div', {}, number(row.test.score)), ...spread];
}

const finished = (row) => row.status === 'finished';
const tested = (row) => (row.test ? row.test.score : null);
const fresh = (row) => (row.confirmed && row.confirmed.score !== null ? row.confirmed.score : null);

// Settings in words: `rate=0.1`, or the task's own.
const settingsText = (settings) => (settings && !settings.includes('=') ? `${settings} settings` : settings);

// Heading, what is sorted by, what is shown, classes, and whether it is worth a column. Smaller ranks are better.
const COLUMNS = [
  { key: 'rank', label: '#', value: (row) => row.rank, cell: (row) => (finished(row) ? String(row.rank) : ''), css: 'number', up: true },
  { key: 'curve', label: '', cell: (row, grid) => smallCurve(row, grid), css: '' },
  { key: 'expression', label: 'function', value: (row) => row.shown, cell: (row) => el('button', { type: 'button', 'aria-label': `details of ${row.shown}` }, expression(row.shown), row.name ? el('div', { class: 'between' }, row.name) : null), css: 'function', up: true },
  { key: 'fresh', label: 'fresh seeds', value: fresh, cell: (row) => number(fresh(row)), css: 'number', worth: (rows) => rows.some((row) => fresh(row) !== null) },
  { key: 'test', label: 'test', value: tested, cell: testCell, css: 'number', worth: (rows) => rows.some((row) => tested(row) !== null) },
  { key: 'score', label: 'search score', value: (row) => row.score, cell: (row) => (finished(row) ? number(row.score) : el('span', { class: 'bad small' }, row.status)), css: 'number' },
  { key: 'relu', label: 'versus ReLU', value: (row) => difference(row.versus_relu), cell: (row) => versusCell(row.versus_relu), css: 'number far', worth: (rows) => rows.some((row) => row.versus_relu) },
  { key: 'best', label: 'versus best known', value: (row) => difference(row.versus_best_baseline), cell: (row) => versusCell(row.versus_best_baseline), css: 'number far', worth: (rows) => rows.some((row) => row.versus_best_baseline && difference(row.versus_best_baseline) !== difference(row.versus_relu)) },
  { key: 'budget', label: 'budget', value: (row) => row.budget, cell: (row) => short(row.budget), css: 'number far', worth: (rows) => rows.some((row) => row.budget < 1) },
  { key: 'seconds', label: 's / training', value: (row) => row.seconds, cell: (row) => (row.seconds === null ? '' : row.seconds < 100 ? row.seconds.toPrecision(3) : row.seconds.toFixed(0)), css: 'number far', up: true },
  { key: 'origin', label: 'from', value: (row) => row.origin, cell: (row) => row.origin, css: 'far', up: true },
];

// A collator is ten times as fast as `localeCompare`, which ten thousand names would feel.
const inOrder = new Intl.Collator().compare;

function compared(a, b, up) {
  const none = (value) => value === null || value === undefined || value === '';
  if (none(a) || none(b)) return none(a) - none(b);
  const order = typeof a === 'string' ? inOrder(a, b) : a - b;
  return up ? order : -order;
}

function leaderboard(study, grid, state) {
  if (!study.rows.length) return null;
  Object.assign(state, { sort: 'rank', up: true, text: '', status: '', origin: '', page: 0, open: new Set(), ...state });
  const columns = COLUMNS.filter((column) => !column.worth || column.worth(study.rows));
  const box = el('section', { class: 'leaderboard' }, el('h2', {}, 'Leaderboard'));
  const tally = Object.entries(study.counts).map(([status, count]) => `${count} ${status.replaceAll('_', ' ')}`).join(', ');
  box.append(el('p', { class: 'soft small' }, `${tally}.${study.rows.some((row) => row.confirmed) ? ' Whoever was trained on fresh seeds ranks first, by that mean.' : ''}${study.rows.some((row) => row.test) ? ' Their test scores (mean ± standard deviation) are on data that no search and no ranking uses.' : ''} ${lower() ? 'Lower is better. ' : ''}A row opens its details.`));
  const search = el('input', { type: 'search', placeholder: 'filter by function', value: state.text, 'aria-label': 'filter by function' });
  const choice = (name, every, values) => {
    const made = el('select', { 'aria-label': every }, el('option', { value: '' }, every), ...values.map((value) => el('option', { value }, value.replaceAll('_', ' '))));
    made.value = state[name];
    made.addEventListener('change', () => { state[name] = made.value; state.page = 0; fill(); });
    return made;
  };
  const statuses = choice('status', 'every status', Object.keys(study.counts));
  const origins = choice('origin', 'every origin', [...new Set(study.rows.map((row) => row.origin))]);
  const save = (label, kind, make) => el('button', { type: 'button', onclick: () => download(`${study.label}.${kind}`, make()) }, label);
  const chosen = () => order().map((index) => study.rows[index]);
  box.append(el('div', { class: 'tools' }, search, statuses, origins, el('span', { class: 'end' }, save('CSV', 'csv', () => csv(chosen())), save('JSON', 'json', () => json(study, chosen())))));
  search.addEventListener('input', () => { state.text = search.value; state.page = 0; fill(); });

  const headings = el('tr', {});
  for (const column of columns) {
    const heading = el('th', { class: column.css, scope: 'col' });
    if (column.value) {
      const button = el('button', { type: 'button' }, column.label);
      button.addEventListener('click', () => {
        state.up = state.sort === column.key ? !state.up : column.up === undefined ? lower() : column.up;
        state.sort = column.key;
        state.page = 0;
        fill();
      });
      heading.append(button);
    }
    headings.append(heading);
  }
  const body = el('tbody', {});
  box.append(el('div', { class: 'wide' }, el('table', {}, el('thead', {}, headings), body)));
  const back = el('button', { type: 'button' }, 'previous'), on = el('button', { type: 'button' }, 'next'), where = el('span', { class: 'soft small', role: 'status' });
  back.addEventListener('click', () => { state.page -= 1; fill(); });
  on.addEventListener('click', () => { state.page += 1; fill(); });
  const pager = el('div', { class: 'pager' }, back, on, where);
  box.append(pager);

  const texts = study.rows.map((row) => `${row.shown} ${row.expression} ${row.name || ''}`.toLowerCase());
  function order() {
    const wanted = state.text.trim().toLowerCase(), column = columns.find((one) => one.key === state.sort) || columns[0];
    const found = [];
    study.rows.forEach((row, index) => {
      if ((!wanted || texts[index].includes(wanted)) && (!state.status || row.status === state.status) && (!state.origin || row.origin === state.origin)) found.push(index);
    });
    const values = study.rows.map(column.value);
    return found.sort((a, b) => compared(values[a], values[b], state.up) || a - b);
  }

  function fill() {
    const found = order(), pages = Math.max(1, Math.ceil(found.length / PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const part = found.slice(state.page * PAGE, (state.page + 1) * PAGE);
    body.replaceChildren(...part.flatMap((index) => line(study.rows[index])));
    [...headings.children].forEach((heading, place) => heading.setAttribute('aria-sort', columns[place].key !== state.sort ? 'none' : state.up ? 'ascending' : 'descending'));
    [...headings.querySelectorAll('button')].forEach((button) => {
      const column = columns.find((one) => one.label === button.textContent.replace(/ [▲▼]$/, ''));
      button.textContent = column.label + (column.key === state.sort ? (state.up ? ' ▲' : ' ▼') : '');
    });
    back.disabled = state.page === 0;
    on.disabled = state.page >= pages - 1;
    where.textContent = !found.length ? 'nothing matches' : pages > 1 || found.length < study.rows.length ? `${state.page * PAGE + 1} to ${state.page * PAGE + part.length} of ${found.length}` : '';
    back.hidden = on.hidden = pages === 1;
  }

  function line(row) {
    const made = el('tr', { class: 'row' }, ...columns.map((column) => el('td', { class: column.css }, column.cell(row, grid))));
    const toggle = () => {
      if (state.open.has(row.number)) state.open.delete(row.number);
      else state.open.add(row.number);
      fill();
      const again = [...body.querySelectorAll('tr.row')].find((other) => other.number === row.number);
      if (again) again.querySelector('td.function button').focus({ preventScroll: true });
    };
    made.number = row.number;
    made.addEventListener('click', toggle);
    const open = state.open.has(row.number);
    made.querySelector('td.function button').setAttribute('aria-expanded', String(open));
    if (!open) return [made];
    made.classList.add('open');
    return [made, el('tr', { class: 'detail' }, el('td', { colSpan: columns.length }, details(row, study, grid)))];
  }

  fill();
  return box;
}

function copyable(text) {
  const button = el('button', { type: 'button' }, 'copy');
  const shown = el('pre', {}, text);
  button.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText(text); } catch {
      getSelection().selectAllChildren(shown);
      document.execCommand('copy');
    }
    button.textContent = 'copied';
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  });
  return el('div', { class: 'copy' }, shown, button);
}

function details(row, study, grid) {
  const left = el('div', {}), right = el('div', {});
  const curves = smallCurves(row, grid);
  const title = row.gate ? 'Function and derivative in x, where g is 1' : 'Function and derivative';
  if (curves && curves.y.some((value) => value !== null)) left.append(el('h3', {}, title), curveChart(curves, [], 220));
  else left.append(el('h3', {}, title), el('p', { class: 'soft small' }, `Nothing to draw: between ${short(grid.low)} and ${short(grid.high)} it is not finite, or beyond \u00b1${grid.largest}.`));
  for (const [training, title] of [[row.training, 'Training, per seed'], [row.freshTraining, 'Training on the fresh seeds']]) {
    if (!training) continue;
    const length = Math.max(...training.curves.map((curve) => curve.length));
    const series = training.curves.map((y, index) => ({ name: `seed ${index + 1}`, y: Array.from({ length }, (_, i) => y[i] ?? null) }));
    const x = training.steps || Array.from({ length }, (_, i) => i + 1); // which Python leaves out
    right.append(lineChart({ title, x, series, across: training.unit, up: '', height: 200 }));
  }
  if (finished(row) && !row.training && !row.freshTraining) right.append(el('h3', {}, 'Training'), el('p', { class: 'soft small' }, 'The task returned no training curve. It may: a list `curve` among the metrics of its outcome.'));
  const facts = el('dl', {});
  const fact = (name, value) => { if (value || value === 0) facts.append(el('dt', {}, name), el('dd', {}, value)); };
  fact('published as', row.name);
  if (row.shown !== row.expression) fact('as tried', expression(row.expression));
  fact('its best settings', row.settings);
  fact('status', row.status.replaceAll('_', ' '));
  fact('reason', row.reason);
  fact('scores in the search', row.scores.map((value) => number(value)).join(', '));
  if (row.test) fact('test scores, mean and sd', `${row.test.scores.map((value) => number(value)).join(', ')}: ${number(row.test.score)}${row.test.sd === null ? '' : ` ± ${number(row.test.sd)}`}`);
  if (row.confirmed) fact('scores on fresh seeds', row.confirmed.scores.map((value) => number(value)).join(', '));
  fact('versus ReLU', row.versus_relu && `${number(row.versus_relu.difference, true)} (${number(row.versus_relu.low, true)} to ${number(row.versus_relu.high, true)}, ${row.versus_relu.pairs} pairs)`);
  fact('versus best known', row.versus_best_baseline && `${number(row.versus_best_baseline.difference, true)} (${number(row.versus_best_baseline.low, true)} to ${number(row.versus_best_baseline.high, true)})`);
  fact('number in the study', row.number);
  const parents = (row.parents || []).map((number) => study.rows.find((other) => other.number === number)).filter(Boolean);
  if (parents.length) fact('bred from', el('span', {}, `${row.how || 'mutation'} of `, ...parents.flatMap((parent, place) => [place ? ' and ' : '', expression(parent.shown)])));
  if (row.constants && row.constants.some((site) => Object.keys(site).length)) {
    fact('learned values', row.constants.slice(0, 12).map((site, index) => `site ${index + 1}: ${Object.entries(site).slice(0, 12).map(([name, value]) => `${name} = ${Array.isArray(value) ? `${value.length} values` : short(value)}`).join(', ')}`).join('; '));
  }
  const how = el('div', {}, facts);
  if (row.latex) how.append(el('h3', {}, 'LaTeX'), copyable(row.latex));
  how.append(el('h3', {}, 'Python'), copyable(row.code));
  return el('div', { class: 'detail' }, el('div', { class: 'grid' }, left, right.childNodes.length ? right : '', how));
}

function download(name, text) {
  const link = el('a', { href: URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' })), download: name.replace(/[^\w.() -]+/g, '_') });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const FIELDS = [
  ['rank', (row) => row.rank], ['expression', (row) => row.expression], ['status', (row) => row.status], ['fresh_mean', fresh], ['test_mean', tested], ['test_sd', (row) => row.test && row.test.sd], ['test_n', (row) => row.test && row.test.n],
  ['search_score', (row) => row.score], ['versus_relu', (row) => difference(row.versus_relu)], ['versus_relu_low', (row) => row.versus_relu && row.versus_relu.low],
  ['versus_relu_high', (row) => row.versus_relu && row.versus_relu.high], ['budget', (row) => row.budget], ['seconds_per_training', (row) => row.seconds],
  ['origin', (row) => row.origin], ['settings', (row) => row.settings], ['number', (row) => row.number], ['reason', (row) => row.reason],
];

function csv(rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? '' : String(value);
    // A spreadsheet would compute a text that begins like this.
    if (typeof value === 'string' && /^[=+@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [FIELDS.map(([name]) => name), ...rows.map((row) => FIELDS.map(([, value]) => value(row)))].map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n';
}

function json(study, rows) {
  const dropped = new Set(['curve', 'slope', 'jumps', 'at']);
  const trials = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !dropped.has(name))));
  return JSON.stringify({ study: study.label, facts: Object.fromEntries(study.facts), trials }, null, 2);
}
