// The page: one overview and a tab per study, or the one study there is.

const states = new Map();  // of tables and maps, kept when a live page has news
let chosen = null;

function figure(value, text, css) {
  return el('div', {}, el('b', { class: css || '' }, value), el('span', {}, text));
}

function hero(study) {
  const best = study.best;
  if (!study.rows.length) return study.running && study.running.length ? null : el('section', {}, el('h2', {}, 'Nothing has been trained to its end yet'), el('p', { class: 'soft' }, study.running ? 'The search has begun.' : 'No search is running in this folder; symact resume goes on with it.'));
  if (!best) return failures(study);
  const row = study.rows[0], words = el('div', {});
  const size = best.expression.length > 42 ? ' long' : '';
  words.append(el('h2', {}, best.isBaseline ? 'Best: a known function' : study.optimizer === 'given' ? 'The best of these functions' : 'The best function found'), el('div', { class: `formula${size}` }, formula(best.mathml, best.expression)));
  words.append(el('div', { class: 'soft small' }, expression(row.name ? `${row.name}: ${row.shown}` : row.shown)));
  if (row.settings) words.append(el('p', { class: 'soft small' }, `trained at ${settingsText(row.settings)}`));
  if (best.sites > 1) words.append(el('p', { class: 'soft small' }, `${best.functions} function${best.functions > 1 ? "s" : ""} for ${best.sites} sites; that of the first site is drawn here, all of them below.`));
  const numbers = el('div', { class: 'numbers' });
  if (row.confirmed && row.confirmed.score !== null) numbers.append(figure(number(row.confirmed.score), `${metric.heading}, mean of ${row.confirmed.scores.length} fresh seeds`));
  if (row.test) numbers.append(figure(number(row.test.score), `on test data that no search sees${row.test.sd === null ? '' : `, standard deviation ${number(row.test.sd)}`}, n = ${row.test.n}`));
  if (!row.confirmed || row.confirmed.score === null) numbers.append(figure(number(row.score), `${metric.heading} in the search (${row.scores.length} seed${row.scores.length === 1 ? '' : 's'})`));
  for (const [versus, name] of [[row.versus_relu, 'ReLU'], [row.versus_best_baseline, `the best known function, ${best.reference}`]]) {
    if (!versus || (versus === row.versus_best_baseline && difference(versus) === difference(row.versus_relu))) continue;
    numbers.append(figure(number(versus.difference, true), `difference to ${name}; 95 % interval ${number(versus.low, true)} to ${number(versus.high, true)}`, verdict(versus)));
  }
  words.append(numbers, el('p', { class: 'sure' }, best.confident));
  if (best.cost.length) words.append(el('p', { class: 'soft small' }, best.cost.join(' ')));
  const picture = el('div', {});
  if (best.x.length) picture.append(curveChart(best, [{ name: 'ReLU', y: best.x.map((x) => Math.max(x, 0)) }], 310));
  return el('section', { class: 'hero' }, words, picture);
}

function failures(study) {
  const reasons = new Map();
  for (const row of study.rows) {
    const reason = `${row.status.replaceAll('_', ' ')}: ${row.reason}`;
    reasons.set(reason, (reasons.get(reason) || 0) + 1);
  }
  const most = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const said = study.rows.length === 1 ? 'The only candidate so far failed.' : `All ${study.rows.length} candidates so far failed.`;
  return el('section', {}, el('h2', {}, 'No function finished'), el('p', {}, `${said}${reasons.size > most.length ? ` The most frequent of ${reasons.size} reasons:` : ''}`), el('ul', { class: 'reasons' }, ...most.map(([reason, count]) => el('li', {}, el('b', {}, `${count} `), reason))));
}

function search(study) {
  const tried = study.rows.slice().sort((a, b) => a.number - b.number).filter((row) => row.budget === 1);
  if (!tried.length || study.optimizer === 'given') return null;
  const scores = tried.map((row) => (finished(row) ? row.score : null));
  if (scores.every((score) => score === null)) return null;
  let best = null;
  const line = scores.map((score) => (best = score !== null && (best === null || (lower() ? score < best : score > best)) ? score : best));
  const range = scoreRange(scores, 0.25, 0.8, [line.find((score) => score !== null)]);
  const of = (is) => tried.map((row, i) => (is(row) ? scores[i] : null));
  const series = [
    { name: 'best so far', y: line, colour: 0 },
    { name: 'candidates', y: of((row) => row.origin !== 'baseline'), colour: 6, dots: 'only' },
    { name: 'known functions', y: of((row) => row.origin === 'baseline'), colour: 1, dots: 'only' },
  ].filter((one) => one.y.some((score) => score !== null));
  const below = scores.filter((score) => score !== null && (score < range[0] || score > range[1])).length;
  const box = el('section', {}, el('h2', {}, 'The search'), lineChart({ x: tried.map((_, i) => i + 1), series, step: true, across: 'functions evaluated', up: metric.heading, height: 270, range: () => range }));
  if (below) box.append(el('p', { class: 'soft small' }, `${below} function${below === 1 ? ' lies' : 's lie'} beyond the range of this chart.`));
  return box;
}

function studyPage(study, grid) {
  metric = study.metric;
  if (!states.has(study.label)) states.set(study.label, { table: {}, map: {} });
  const state = states.get(study.label);
  const facts = el('dl', {}, ...study.facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  const folded = el('section', {}, el('details', {}, el('summary', {}, 'How this was made'), facts));
  return [hero(study), inTraining(study), leaderboard(study, grid, state.table), search(study), functionMap(study, grid, state.map), ...panelSections(study, grid), folded].filter(Boolean);
}

const seeds = (scores) => `${scores.length} seed${scores.length === 1 ? '' : 's'}`;
const better = () => `${lower() ? 'Lower' : 'Higher'} is better.`;

// A score beside those of other studies: what it is, which way is better, and whether the search had seen its seeds.
function scoreCell(row) {
  const of = fresh(row) !== null ? `mean of ${seeds(row.confirmed.scores)}, fresh` : `in the search, ${seeds(row.scores)}`;
  return [el('div', {}, number(fresh(row) ?? row.score)), el('div', { class: 'between told' }, `${metric.heading}, ${lower() ? 'lower' : 'higher'} is better`), el('div', { class: 'between told' }, of)];
}

// The difference to ReLU, or to the best known function where the task has no ReLU.
function versusKnown(study, toRelu) {
  const row = study.rows[0], versus = row.versus_relu || row.versus_best_baseline;
  const name = row.versus_relu ? 'ReLU' : study.best.reference;
  return versus && !toRelu ? [...versusCell(versus), el('div', { class: 'between' }, `versus ${name}`)] : versusCell(versus);
}

function overview(all, open) {
  const grid = all.grid;
  const winners = all.studies.filter((study) => study.best).map((study) => study.rows[0]);
  const compared = winners.some((row) => row.versus_relu || row.versus_best_baseline);
  const toRelu = winners.every((row) => row.versus_relu || !row.versus_best_baseline); // it is no candidate where gates are
  const rows = all.studies.map((study, index) => {
    metric = study.metric;
    const best = study.rows[0] && study.best ? study.rows[0] : null;
    const made = el('tr', { class: 'row' },
      el('td', { class: 'function' }, el('button', { type: 'button' }, study.label)),
      el('td', {}, best ? smallCurve(best, grid) : ''),
      el('td', {}, best ? expression(best.shown) : 'nothing finished'),
      el('td', { class: 'number' }, best ? scoreCell(best) : ''),
      ...(compared ? [el('td', { class: 'number far' }, best ? versusKnown(study, toRelu) : '')] : []),
      el('td', { class: 'number far' }, String(study.evaluated)), countInTraining(study));
    made.addEventListener('click', () => open(`s${index}`));
    return made;
  });
  const heads = [['study', ''], ['', ''], ['best function', ''], ['score', 'number'], ...(compared ? [[toRelu ? 'versus ReLU' : 'versus known', 'number far']] : []), ['functions', 'number far'], [all.studies.some((study) => study.running) || all.live ? 'in training' : '', 'number far']];
  const table = el('div', { class: 'wide' }, el('table', {}, el('thead', {}, el('tr', {}, ...heads.map(([text, css]) => el('th', { class: css, scope: 'col' }, text)))), el('tbody', {}, ...rows)));
  const made = [el('section', {}, el('h2', {}, 'The studies'), table)];
  const tasks = [...new Set(all.race.map((one) => one.task))];
  for (const task of tasks) {
    const runs = all.race.filter((one) => one.task === task);
    const length = Math.max(...runs.map((one) => one.middle.length));
    const filled = (list) => Array.from({ length }, (_, i) => list[i] ?? null);
    const series = runs.map((one) => ({ name: one.name, y: filled(one.middle), ...(one.runs > 1 ? { low: filled(one.low), high: filled(one.high) } : {}) }));
    metric = runs[0].metric;
    const known = runs.flatMap((one) => [...one.middle, ...one.low, ...one.high]).filter((score) => score !== null);
    const range = scoreRange(known, 0.1, 0.5, runs.flatMap((one) => [one.low, one.high].map((list) => list.find((score) => score !== null))));
    const beyond = known.some((score) => score < range[0] || score > range[1]);
    const chart = lineChart({ x: Array.from({ length }, (_, i) => i + 1), series, step: true, across: 'functions evaluated', up: `best ${metric.heading} so far`, height: 300, range: () => range });
    const text = runs.some((one) => one.runs > 1) ? 'Of repeated runs the median is drawn; the band reaches from the lowest to the highest.' : 'The best score in the search, after so many functions.';
    made.push(el('section', {}, el('h2', {}, tasks.length > 1 ? `Best so far on ${task}` : 'Best so far'), el('p', { class: 'soft small' }, `${text} ${better()}${beyond ? ' What lies beyond this chart is far worse.' : ''}`), chart));
  }
  return made;
}

// What was written as columns, as rows.
function unfolded(all) {
  return { ...all, studies: all.studies.map((study) => ({ ...study, live: all.live, rows: rowsOf(study.rows) })) };
}

function render(all) {
  const page = document.getElementById('page'), several = all.studies.length > 1;
  const body = el('div', { role: several ? 'tabpanel' : 'presentation' });
  const heading = several ? `symact: ${all.studies.length} studies` : all.studies[0].label;
  const note = el('span', { class: 'soft small', id: 'news' }, all.live ? progress(all) : `symact ${all.version}`);
  const parts = [el('header', { class: 'top' }, el('h1', {}, heading), note)];
  const views = [...(several ? [['all', 'overview', () => overview(all, open)]] : []), ...all.studies.map((study, index) => [`s${index}`, study.label, () => studyPage(study, all.grid)])];
  const tabs = el('div', { class: 'tabs', role: 'tablist' });
  function open(name) {
    const found = views.find(([id]) => id === name) || views[0];
    chosen = found[0];
    [...tabs.children].forEach((tab) => { tab.setAttribute('aria-selected', String(tab.dataset.view === chosen)); tab.tabIndex = tab.dataset.view === chosen ? 0 : -1; });
    document.getElementById('tip').hidden = true;
    trainingHosts.clear();
    body.replaceChildren(...found[2]());
  }
  if (several) {
    for (const [id, label] of views) {
      const tab = el('button', { type: 'button', role: 'tab' }, label);
      tab.dataset.view = id;
      tab.addEventListener('click', () => open(id));
      tabs.append(tab);
    }
    tabs.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...tabs.children], next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
      next.focus();
      next.click();
    });
    parts.push(tabs);
  }
  page.replaceChildren(...parts, body);
  open(chosen);
}

// On paper everything is open, in light colours, and as wide as the paper; what was folded is folded again afterwards.
function printing() {
  const root = document.documentElement;
  const change = (on) => {
    root.classList.toggle('paper', on);
    drawn.forEach((host) => host.isConnected && host.redraw(true));
    for (const folded of document.querySelectorAll('details')) {
      if (on && !folded.open) folded.dataset.folded = '';
      if (on || 'folded' in folded.dataset) folded.open = on;
      if (!on) delete folded.dataset.folded;
    }
  };
  addEventListener('beforeprint', () => change(true));
  addEventListener('afterprint', () => change(false));
}

function progress(all) {
  const done = all.studies.reduce((sum, study) => sum + study.evaluated, 0), goal = all.studies.reduce((sum, study) => sum + study.goal, 0);
  const active = all.studies.filter((study) => study.running).length, several = all.studies.length > 1;
  const state = active ? (several ? `, ${active} of ${all.studies.length} searches running` : ', running') : goal && done >= goal ? '' : several ? ', no search is running' : ', the search is not running';
  return `live: ${done}${goal ? ` of ${goal}` : ''} functions${state}, ${new Date().toLocaleTimeString()}`;
}

// A live page asks the server that it came from whether its studies have grown, and what is in training.
async function listen(all) {
  let seen = all.stamp, shown = all;
  for (;;) {
    await new Promise((go) => setTimeout(go, 2000));
    try {
      const answer = await fetch(`data.json?since=${encodeURIComponent(seen)}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const news = await answer.json();
      if (!news.studies) {
        shown.studies.forEach((study, index) => { study.running = news.running[index]; });
        document.getElementById('news').textContent = progress(shown);
        renewTraining();
        continue;
      }
      shown = unfolded(news);
      seen = shown.stamp;
      const [x, y] = [scrollX, scrollY];
      render(shown);
      requestAnimationFrame(() => scrollTo(x, y));
    } catch {
      document.getElementById('news').textContent = 'live: the server does not answer';
    }
  }
}

async function start() {
  const bytes = Uint8Array.from(atob(document.getElementById('data').textContent), (letter) => letter.charCodeAt(0));
  let all;
  try {
    all = unfolded(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).json());
  } catch {
    document.getElementById('page').replaceChildren(el('p', {}, 'This page cannot be unpacked: it is damaged, or the browser is older than 2023.'));
    return;
  }
  render(all);
  printing();
  if (all.live) listen(all);
}
