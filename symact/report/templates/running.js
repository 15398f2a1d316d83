// What is in training at this moment: how far, and its curve beside those of finished trainings.

const TRAINING_COLOURS = [0, 1, 2, 3, 4, 7];
const trainingHosts = new Set();

function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  return whole < 172800 ? `${(whole / 3600).toFixed(1)} h` : `${(whole / 86400).toFixed(1)} days`;
}

// The value of a course at a step, or at the last one before it.
function courseAt(course, name, step) {
  let found = null;
  course.step.forEach((at, place) => { if (at <= step && course[name][place] !== null) found = course[name][place]; });
  return found;
}

// A place that `renewTraining` fills again while the page stays as it is.
function inTraining(study) {
  const host = el('div', { class: 'training' });
  host.renew = () => {
    const [one, ...others] = trainingNow(study, host);
    host.replaceChildren(...(one ? [el('section', {}, one, ...others)] : []));
  };
  host.renew();
  trainingHosts.add(host);
  return host;
}

// A cell of the overview.
function countInTraining(study) {
  const cell = el('td', { class: 'number far' });
  cell.renew = () => { cell.textContent = study.running ? String(study.running.length) : ''; };
  cell.renew();
  trainingHosts.add(cell);
  return cell;
}

const renewTraining = () => trainingHosts.forEach((host) => host.isConnected && host.renew());

function trainingNow(study, host) {
  const running = study.running;
  if (!running || !running.length) return [];
  metric = study.metric;
  const now = study.live ? Date.now() / 1000 : study.made;
  const title = study.live ? 'In training now' : `In training when this page was made, ${new Date(1000 * study.made).toLocaleString()}`;
  const courseOf = (one) => study.courses.find((course) => course.budget === one.budget);
  const repeats = study.rows.some((row) => row.scores.length > 1) || running.some((one) => one.repeat);
  const lines = running.map((one, place) => {
    const course = courseOf(one), step = one.curve.length ? one.curve[one.curve.length - 1][0] : null, score = one.curve.length ? one.curve[one.curve.length - 1][1] : null;
    const end = one.end ?? (course ? course.end : null), share = step !== null && end ? Math.min(1, step / end) : 0;
    const left = share > 0 && share < 1 ? Math.max(0, ((one.heard - one.began) * (1 - share)) / share - (now - one.heard)) : null;
    const usual = course && step !== null ? courseAt(course, 'median', step) : null;
    const dot = el('span', { class: 'dot' });
    dot.style.cssText = `opacity:1;background:var(--c${TRAINING_COLOURS[place % TRAINING_COLOURS.length]})`;
    const what = [`#${one.number}`, one.stage === 'search' ? '' : one.stage, repeats || one.stage === 'fresh' ? `seed ${one.repeat + 1}` : '', one.budget < 1 ? `budget ${short(one.budget)}` : '', settingsText(one.settings)].filter(Boolean).join(', ');
    const meter = step === null ? '' : end ? el('meter', { min: 0, max: 1, value: share, 'aria-label': 'done' }) : '';
    const far = step === null ? 'no report yet' : `step ${step}${end ? ` of ${end}` : ''}`;
    const times = `${lasting(now - one.began)}${left === null || left < 1 ? '' : `, about ${lasting(left)} left`}`;
    const beside = usual === null ? '' : `${number(score - usual, true)} to the median`;
    const good = usual === null || score === usual ? 'between' : (lower() ? score < usual : score > usual) ? 'between good' : 'between bad';
    return el('tr', {},
      el('td', { class: 'function' }, dot, expression(one.expression), el('div', { class: 'between' }, what)),
      el('td', {}, el('div', {}, far), meter, el('div', { class: 'between' }, times)),
      el('td', { class: 'number now' }, el('div', {}, number(score)), el('div', { class: good }, beside)),
      el('td', { class: 'number far' }, step === null ? '' : `${lasting(now - one.heard)} ago`));
  });
  const heads = [['function', 'function'], ['so far', ''], [metric.heading, 'number'], ['last report', 'number far']];
  const table = el('div', { class: 'wide' }, el('table', {}, el('thead', {}, el('tr', {}, ...heads.map(([text, css]) => el('th', { class: css, scope: 'col' }, text)))), el('tbody', {}, ...lines)));
  return [el('h2', {}, title), table, ...trainingCharts(study, running, host), ended(study)].filter(Boolean);
}

// A chart for each budget; drawn again only when somebody has reported.
function trainingCharts(study, running, host) {
  const reported = running.filter((one) => one.curve.length);
  if (!reported.length) {
    const silent = study.rows.some(finished) && !study.courses.length;
    return silent ? [el('p', { class: 'soft small' }, 'This task tells nothing while it trains. It may: report(step, score), an argument of its evaluate.')] : [];
  }
  const state = JSON.stringify([reported.map((one) => [one.number, one.repeat, one.curve]), study.courses.map((course) => course.trainings)]);
  if (host.state === state) return host.charts;
  host.state = state;
  host.charts = [...new Set(reported.map((one) => one.budget))].map((budget) => {
    const own = reported.filter((one) => one.budget === budget), course = study.courses.find((one) => one.budget === budget);
    const bars = own.find((one) => one.bars.length);
    const x = [...new Set([...(course ? course.step : []), ...own.flatMap((one) => one.curve.map(([step]) => step)), ...(bars ? bars.bars.map(([step]) => step) : []), ...own.flatMap((one) => one.end ?? [])])].sort((a, b) => a - b);
    const along = (pairs) => { const known = new Map(pairs); return x.map((step) => known.get(step) ?? null); };
    const series = own.map((one) => ({ name: one.expression.length > 60 ? `${one.expression.slice(0, 57)}...` : one.expression, y: along(one.curve), colour: TRAINING_COLOURS[running.indexOf(one) % TRAINING_COLOURS.length], dots: one.curve.length < 30 }));
    if (course) {
      const stops = bars && bars.bars.every(([step, bar]) => Math.abs(bar - courseAt(course, 'median', step)) < 0.02 * Math.abs(bar));
      const median = course.trainings === 1 ? 'the one finished training' : `median of ${course.trainings} finished trainings`;
      series.push({ name: stops ? `${median}; what is worse is stopped` : median, y: along(course.step.map((step, i) => [step, course.median[i]])), soft: true, dash: [6, 4] });
      if (course.trainings > 1) series.push({ name: 'the best function so far', y: along(course.step.map((step, i) => [step, course.best[i]])), colour: 5, dash: [6, 4] });
      if (bars && !stops) series.push({ name: 'what is worse than this is stopped', y: along(bars.bars), soft: true, dash: [2, 4] });
    }
    const all = series.flatMap((one) => one.y).filter((value) => value !== null);
    return lineChart({ title: budget < 1 ? `Budget ${short(budget)}` : '', x, series, spans: true, across: 'step', up: metric.heading, height: 250, range: () => courseRange(all) });
  });
  return host.charts;
}

// The scores that are worth the room: a first step far off would leave a flat line of the others.
function courseRange(values) {
  const sorted = values.slice().sort((a, b) => a - b), count = sorted.length;
  const cut = count < 12 ? 0 : Math.floor(count * 0.06);
  const low = lower() ? sorted[0] : sorted[cut], high = lower() ? sorted[count - 1 - cut] : sorted[count - 1];
  const room = 0.06 * (high - low) || 0.1 * Math.abs(high) || 0.1;
  return [low - room, high + room];
}

// What came of the last few functions that the search has tried.
function ended(study) {
  if (study.running.every((one) => one.stage !== 'search')) return null;
  const last = study.rows.slice().sort((a, b) => b.number - a.number).slice(0, 3);
  if (!last.length || study.optimizer === 'given') return null;
  return el('div', {}, el('h3', {}, 'The last that ended'), ...last.map((row) => {
    const how = finished(row) ? number(row.score) : `${row.status.replaceAll('_', ' ')}${row.reason ? `: ${row.reason}` : ''}`;
    return el('div', { class: 'small' }, el('span', { class: 'soft' }, `#${row.number} `), expression(row.shown), ' ', el('span', { class: finished(row) ? '' : 'bad' }, how));
  }));
}
