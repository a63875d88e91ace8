// The page at /: asks /status every two seconds, and shows it. What it is told is foreign text: all of
// it reaches the document as text nodes, never as markup.
'use strict';

const EVERY_MS = 2000, HIDDEN_MS = 15000, ANSWER_MS = 5000, FAILURES_MS = 30000;
const LATE_S = 30, PAGE = 25;

let status = null;    // the last answer of /status, or of /readyz where /status wants a token
let wanted = false;   // ... it does
let token = '';       // in this tab's memory alone
let skewMs = 0;       // Postgres's clock against this browser's
let answeredMs = 0;   // when the daemon last answered
let since = Date.now(); // of a daemon that does not answer: since when
let gone = '';         // why nothing is known of it now
let chosen = '';      // the queue that is shown; '': all
let failures = { rows: [], limit: PAGE, key: '', askedMs: 0, error: '', product: '', sqlstate: '' };

const $ = (selector, within = document) => within.querySelector(selector);

function make(create, attributes, kids) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') create.addEventListener(name, value);
    else if (value != null && value !== false) create.setAttribute(name, value === true ? '' : value);
  }
  create.append(...kids.flat(3).filter((kid) => kid != null && kid !== false));
  return create;
}
const h = (tag, attributes, ...kids) => make(document.createElement(tag), attributes, kids);
const s = (tag, attributes, ...kids) =>
  make(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, kids);

// ---- words ----

const UNKNOWN = 'not known';
const count = (n) => (n == null ? UNKNOWN : n.toLocaleString('en'));
const upper = (words) => words[0].toUpperCase() + words.slice(1);
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });
const sum = (list) => list.reduce((a, b) => (a == null || b == null ? null : a + b), 0);

function lasting(seconds) {
  if (seconds == null) return UNKNOWN;
  const t = Math.abs(seconds);
  const in2 = (x) => String(Number(x.toPrecision(x < 10 ? 2 : 3)));
  if (t === 0) return '0 s';
  if (t < 0.9995) return `${in2(t * 1000)} ms`;
  if (t < 120) return `${t < 10 ? in2(t) : Math.round(t)} s`;
  if (t < 7200) return `${Math.round(t / 60)} min`;
  return t < 172800 ? `${Math.round(t / 3600)} h` : `${Math.round(t / 86400)} d`;
}

function away(ms) {
  const seconds = Math.round((ms - Date.now() - skewMs) / 1000);
  if (seconds === 0) return 'now';
  return seconds > 0 ? `in ${lasting(seconds)}` : `${lasting(seconds)} ago`;
}

// A time, told from now on; ticks by itself.
function when(iso) {
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) return UNKNOWN;
  return h('time', { datetime: iso, title: new Date(ms).toLocaleString(), 'data-at': ms }, away(ms));
}

function tick() {
  for (const time of document.querySelectorAll('time[data-at]')) {
    const text = away(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
  say($('#fresh'), answeredMs ? `as of ${clock(answeredMs)}` : '');
}

// ---- what stays is left alone: the focus, a selection, what a screen reader has said ----

function put(box, data, kids) {
  const key = JSON.stringify(data);
  if (box.shown === key) return;
  box.shown = key;
  const focus = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  box.replaceChildren(...kids().flat().filter((kid) => kid != null && kid !== false));
  if (focus) [...box.querySelectorAll('[data-key]')].find((e) => e.dataset.key === focus)?.focus();
}
function say(box, text) {
  if (box.textContent !== text) box.textContent = text;
}

// ---- asking ----

async function ask(path, method = 'GET', signal = AbortSignal.timeout(ANSWER_MS)) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { method, headers, signal, cache: 'no-store', credentials: 'omit' });
  return { code: answer.status, body: await answer.json().catch(() => ({})) };
}

function query(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== '' && value != null);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

async function askFailures(force) {
  const v = view(), now = Date.now();
  const { product, sqlstate, limit, rows, error } = failures;
  const path = query('failures', { queue: chosen, product, sqlstate, limit });
  const lacking = !error && !product && !sqlstate && rows.length < Math.min(v.failed, limit);
  if (!v.failed) {
    Object.assign(failures, { rows: [], more: false, key: '', error: '' });
  } else if (force || lacking || failures.key !== path + v.failed || now - failures.askedMs > FAILURES_MS) {
    Object.assign(failures, { key: path + v.failed, askedMs: now });
    const { code, body } = await ask(path).catch((error) => ({ body: { error: error.message } }));
    if (code === 200) Object.assign(failures, { rows: body.failures, more: body.next != null, error: '' });
    else Object.assign(failures, { rows: gather('failures'), more: false, error: body.error ?? `answer ${code}` });
  }
}

let timer = 0, asking = false, again = false;
async function poll(force = false) {
  clearTimeout(timer);
  again ||= force;
  if (asking) return;
  asking = true;
  try {
    let { code, body } = await ask('status');
    wanted = code === 401;
    if (wanted) ({ body } = await ask('readyz'));
    else if (code !== 200) throw new Error(body.error ?? `answer ${code}`);
    status = body;
    if (body.now) skewMs = Date.parse(body.now) - Date.now();
    answeredMs = since = Date.now();
    gone = '';
    const now = again;
    again = false;
    if (!wanted) await askFailures(now);
  } catch (error) {
    gone = error.message;
  }
  asking = false;
  show();
  timer = setTimeout(poll, again ? 0 : document.hidden ? HIDDEN_MS : EVERY_MS);
}

// ---- what is shown: one queue, or what all of them come to ----

const queues = () => status?.queues ?? [];
const several = () => queues().length > 1;

function view() {
  const one = queues().find((q) => q.queue === chosen) ?? (several() ? null : queues()[0]);
  if (one) return { ...status, ...one };
  const times = queues().map((q) => q.nextDueAt).filter(Boolean).sort();
  const worst = queues().filter((q) => q.oldestOverdue).sort((a, b) => b.overdueSeconds - a.overdueSeconds)[0];
  return {
    ...status,
    pending: sum(queues().map((q) => q.pending)),
    inflight: sum(queues().map((q) => q.inflight)),
    nextDueAt: times[0] ?? null,
    oldestOverdue: worst?.oldestOverdue,
  };
}

// A list of each queue's, with its name where there are several.
function gather(name) {
  return queues()
    .filter((q) => !chosen || q.queue === chosen)
    .flatMap((q) => (q[name] ?? []).map((row) => ({ queue: q.queue, ...row })));
}

const withoutRedis = (v) => `Redis cannot be used${v.degradedReason ? `: ${v.degradedReason}` : ''}. Releases go on from Postgres`;

// Of several queues some may go on.
const allPaused = (v) => !!v.paused && (!!v.queue || queues().every((q) => q.paused));

function verdictOf(v) {
  if (gone) {
    const how = `since ${clock(since)} (${lasting(Math.round((Date.now() - since) / 1000))})`;
    const then = answeredMs ? ' What follows is as it was then.' : '';
    return ['bad', 'No answer', `Nobody answers here ${how}: the daemon has stopped, or is out of reach (${gone}).${then}`];
  }
  if (!v) return ['', 'Asking …', ''];
  if (v.paused && v.ready) return ['warn', allPaused(v) ? 'Paused' : 'Paused in part', ''];
  if (v.ready && v.degraded) return ['warn', 'On time, without Redis', withoutRedis(v)];
  if (v.ready) return ['ok', 'On time', v.overdueSeconds > 0 ? '' : 'Nothing is overdue.'];
  if (/^(starting|stopping)$/.test(v.reason)) return ['warn', upper(v.reason), ''];
  return ['bad', v.overdueSeconds > LATE_S ? 'Late' : 'Not on time', v.reason ?? ''];
}

function showVerdict() {
  const v = status ? view() : null;
  const [kind, word, why] = verdictOf(v);
  const sentence = why && upper(why) + (/[.!?]$/.test(why) ? '' : '.');
  $('#verdict').className = kind;
  say($('#state'), word);
  say($('#reason'), sentence);
  document.title = `${word} · reservation-sweeper`;
  return v;
}

function show() {
  tick();
  const v = showVerdict();
  if (!v) return;
  showChoice();
  showNotes(v);
  showFacts(v);
  showLateness(v);
  showQueues();
  showRefused(v);
  showLocked(v);
  showKept(v);
  showServers(v);
  showReconciliation();
  for (const id of ['lateness', 'refused', 'locked', 'kept', 'servers', 'reconciliation']) $(`#${id}`).hidden = wanted;
  $('[data-act=pause]').hidden = allPaused(v);
  $('[data-act=resume]').hidden = !v.paused;
  say($('#version'), v.version ? `reservation-sweeper ${v.version}. Times are by Postgres’s clock.` : '');
}

function showChoice() {
  const names = queues().map((q) => q.queue);
  if (chosen && !names.includes(chosen)) chosen = '';
  $('#choice').hidden = !several();
  put($('#queue'), names, () => [h('option', { value: '' }, 'all'), ...names.map((name) => h('option', {}, name))]);
  $('#queue').value = chosen;
}

function showNotes(v) {
  const { paused: p, oldestOverdue: o } = v;
  const notes = [];
  if (wanted) notes.push(['token', () => ['What else there is to see needs a token. ', button('Token …', 'note', () => begin('token'))]]);
  if (p) notes.push([p, () => [`Nothing is released until ${clock(Date.parse(p.until))}, `, when(p.until), p.reason && `: ${p.reason}`, p.by && ` (by ${p.by})`]]);
  if (v.degraded && !v.ready) notes.push([v.degradedReason, () => `${withoutRedis(v)}.`]);
  if (o) notes.push([o, () => [v.reason?.includes(o.reservationId) ? 'It' : ['The oldest overdue, ', h('span', { class: 'id' }, o.reservationId ?? UNKNOWN), ','], o.productId != null && ` is of product ${o.productId} and`, ' was due ', when(o.expiresAt), '. ', o.reservationId && why(o.reservationId, 'oldest')]]);
  if (v.keptAttention) notes.push([v.keptAttention, () => [h('a', { href: '#kept', class: 'some' }, `${count(v.keptAttention)} kept for too long`)]]);
  put($('#notes'), notes.map(([key]) => key), () => notes.map(([, text]) => h('li', {}, [text()].flat(2))));
}

function showFacts(v) {
  const facts = [
    ['Longest overdue', v.overdueSeconds ? lasting(v.overdueSeconds) : v.overdueSeconds === 0 ? 'none' : UNKNOWN, v.overdueSeconds > LATE_S ? 'worse' : ''],
    ...(wanted ? [] : [['Next due', v.nextDueAt ? when(v.nextDueAt) : v.pending == null ? UNKNOWN : 'none'],
      ['Pending', count(v.pending)], ['In flight', count(v.inflight)]]),
    ['Refused', count(v.failed), v.failed ? 'worse' : '', 'refused'],
    ['Locked', count(v.locked), v.locked ? 'some' : '', 'locked'],
    ['Kept', count(v.kept), v.keptAttention ? 'some' : '', 'kept'],
  ];
  put($('#facts'), [facts, v.nextDueAt], () => facts.map(([name, value, kind, place]) => h('div', {}, h('dt', {}, name),
    h('dd', { class: value === UNKNOWN ? 'soft' : kind || null }, kind && place ? h('a', { href: `#${place}` }, value) : value))));
}

// ---- lateness ----

const FOOT = 185; // where what stands below a picture is written
const kindOf = (seconds) => (seconds >= LATE_S ? 'worse' : seconds >= 1 ? 'some' : null);
const write = (x, y, anchor, words, kind) => s('text', { x, y, 'text-anchor': anchor, class: kind }, words);
const line = (kind, d) => s('path', { class: kind, d });
const picture = (label, ...kids) => [s('svg', { role: 'img', 'aria-label': label }, kids)];

function showLateness(v) {
  const hour = v.lastHour;
  $('#lateness').hidden = !hour;
  if (!hour) return;
  put($('#figures'), [hour.released, hour.p50Seconds, hour.p99Seconds], () =>
    [['p50', hour.p50Seconds], ['p99', hour.p99Seconds]]
      .map(([name, value]) => h('span', {}, `${name} `, h('b', { class: kindOf(value) }, value == null ? 'none' : lasting(value))))
      .concat(h('span', {}, 'released ', h('b', {}, count(hour.released)))));
  drawHistogram($('#histogram'), hour);
  drawCourse($('#course'), hour);
  showMinutes(hour);
}

function drawHistogram(box, { boundsSeconds: bounds, counts, p50Seconds, p99Seconds, released }) {
  const w = box.clientWidth, top = 30, floor = 170, step = w / counts.length, most = Math.max(...counts, 1);
  const lower = (i) => (i > 0 ? bounds[i - 1] : 0);
  const label = (i) => (i < bounds.length ? `${lasting(lower(i))} to ${lasting(bounds[i])}` : `over ${lasting(lower(i))}`);
  const at = (value) => {
    const i = bounds.findIndex((bound) => bound >= value);
    return i < 0 ? w : (i + (value - lower(i)) / (bounds[i] - lower(i))) * step;
  };
  const mark = (name, value, y, most) => {
    const x = at(value), left = x > most;
    return value != null && [line('mark', `M${x} ${y - 8}V${floor}`), write(x + (left ? -4 : 4), y, left ? 'end' : 'start', `${name} ${lasting(value)}`, 'markname')];
  };
  const within = counts.map((n, i) => [n, i]).filter(([n]) => n).map(([n, i]) => `${label(i)}: ${count(n)}`);
  put(box, [w, counts, p50Seconds, p99Seconds], () => picture(released ? `Of ${count(released)} releases: ${within.join('; ')}.` : 'Nothing was released.',
    line('axis', `M0 ${floor}H${w}`),
    counts.map((n, i) => {
      const high = n ? Math.max(2, (n / most) * (floor - top)) : 0;
      return n > 0 && s('rect', { class: `bar ${kindOf(lower(i)) ?? ''}`, x: i * step + 1, y: floor - high, width: Math.max(1, step - 2), height: high }, s('title', {}, `${label(i)}: ${count(n)}`));
    }),
    bounds.map((bound, i) => [0.001, 0.01, 0.1, 1, 10, 60, 300].includes(bound) && write((i + 1) * step, FOOT, 'middle', lasting(bound))),
    mark('p50', p50Seconds, 24, 50), mark('p99', p99Seconds, 10, w - 80),
    !released && write(w / 2, 90, 'middle', 'nothing was released')));
}

function drawCourse(box, { minutes: m }) {
  const w = box.clientWidth, left = 44, top = 6, floor = 122, bars = 168, step = (w - left) / 60, n = m.released.length;
  const low = Math.log(0.0005), high = Math.log(300);
  const y = (value) => floor - (floor - top) * Math.min(1, Math.max(0, (Math.log(value) - low) / (high - low)));
  const x = (i) => left + (60 - n + i) * step;
  const steps = (values, least) => values.map((value, i) => value > least ? `${values[i - 1] > least ? 'L' : 'M'}${x(i)} ${y(value)}h${step}` : '').join('');
  const most = Math.max(...m.released, 0), worst = Math.max(...m.p99Seconds, 0), over = Math.max(...m.overdueSeconds, 0);
  put(box, [w, m], () => picture(`Minute by minute: p99 at most ${lasting(worst)}, longest overdue ${lasting(over)}, at most ${count(most)} released a minute.`,
    [0.001, 0.01, 0.1, 1, 300].map((value) => [line('axis', `M${left} ${y(value)}H${w}`), write(left - 6, y(value) + 4, 'end', lasting(value))]),
    line('limit', `M${left} ${y(LATE_S)}H${w}`), write(left - 6, y(LATE_S) + 2, 'end', 'late'),
    line('p50', steps(m.p50Seconds, 0)), line('p99', steps(m.p99Seconds, 0)), line('over', steps(m.overdueSeconds, 1)),
    line('axis', `M${left} ${bars}H${w}`),
    m.released.map((released, i) => {
      const high = Math.max(1, (released / most) * 36);
      return released > 0 && s('rect', { class: 'bar', x: x(i) + 0.5, y: bars - high, width: Math.max(1, step - 1), height: high });
    }),
    write(left - 6, bars - 26, 'end', most ? `${count(most)}/min` : ''),
    write(left, FOOT, 'start', '60 min ago'), write((left + w) / 2, FOOT, 'middle', '30'), write(w, FOOT, 'end', 'now')));
}

function showMinutes({ minutes: m }) {
  const n = m.released.length, t = (value) => h('td', {}, value == null ? '–' : lasting(value));
  if (!$('#minutes').open) return;
  put($('#minutes table'), m, () => [
    h('thead', {}, h('tr', {}, ['Minutes ago', 'Released', 'p50', 'p99', 'Longest overdue'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, m.released.map((released, i) => h('tr', {}, h('th', { scope: 'row' }, String(n - 1 - i)),
      h('td', {}, count(released)), t(m.p50Seconds[i]), t(m.p99Seconds[i]), t(m.overdueSeconds[i]))).reverse())]);
}

// ---- queues, and what is not released ----

function showQueues() {
  $('#queues').hidden = !several() || wanted;
  if (!several() || wanted) return;
  put($('#queues table'), queues(), () => [
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Queue'), h('th', { scope: 'col', class: 'left' }, 'State'),
      ['Pending', 'Next due', 'Released', 'p99', 'Refused', 'Locked', 'Kept'].map((name, i) => h('th', { scope: 'col', class: i < 3 ? 'less' : null }, name)))),
    h('tbody', {}, queues().map((q) => {
      const [kind, word] = verdictOf(q);
      return h('tr', {}, h('th', { scope: 'row' }, q.queue),
        h('td', { class: `left ${{ ok: 'good', warn: 'some', bad: 'worse' }[kind] ?? ''}` }, word),
        h('td', { class: 'less' }, count(q.pending)), h('td', { class: 'less' }, q.nextDueAt ? when(q.nextDueAt) : 'none'),
        h('td', { class: 'less' }, count(q.lastHour?.released)), h('td', {}, q.lastHour?.p99Seconds == null ? '–' : lasting(q.lastHour.p99Seconds)),
        h('td', { class: q.failed ? 'worse' : null }, count(q.failed)), h('td', {}, count(q.locked)), h('td', {}, count(q.kept)));
    }))]);
}

function button(text, key, act, label) {
  return h('button', { type: 'button', 'data-key': key, 'aria-label': label, click: act }, text);
}
function why(id, key) {
  return button('Why?', `why ${key} ${id}`, () => explain(id), `Why is ${id} not released?`);
}

function row(place, r, words, about, more = []) {
  return h('li', {},
    h('div', {}, h('span', { class: 'id' }, r.reservationId), r.productId != null && ` product ${r.productId}`,
      r.sqlstate && h('span', { class: 'soft' }, ` SQLSTATE ${r.sqlstate}`), several() && h('span', { class: 'soft' }, ` queue ${r.queue}`)),
    h('p', {}, words, words && ' · ', h('span', { class: 'soft' }, about)), h('div', { class: 'acts' }, why(r.reservationId, place),
      more.map(([text, act]) => button(`${text} …`, `${act} ${r.queue} ${r.reservationId}`, () => begin(act, r), `${text} ${r.reservationId}`))));
}

function showRefused(v) {
  const { rows, error, more, product, sqlstate } = failures;
  const filtered = product || sqlstate;
  say($('#refused .n'), v.failed === 0 ? 'none' : count(v.failed));
  $('#filter').hidden = !v.failed;
  put($('#refused .list'), [rows, error, filtered, several()], () => [
    error && h('li', {}, h('p', { class: 'worse' }, `The whole list cannot be had: ${error}.`)),
    filtered && !rows.length && h('li', {}, h('p', {}, 'None is of that product and SQLSTATE.')),
    ...rows.map((r) => row('refused', r, r.error ?? 'its record cannot be read',
      [`attempts ${count(r.attempts)}`, r.firstFailedAt && [', first ', when(r.firstFailedAt)], r.retryAt && [', next ', when(r.retryAt)]], [['Retry', 'retry'], ['Forget', 'forget']]))]);
  $('#more').hidden = !more;
  say($('#more'), `${count(rows.length)} are shown: show more`);
}

function showLocked(v) {
  const rows = gather('lockedReservations');
  say($('#locked .n'), v.locked === 0 ? 'none' : count(v.locked) + (v.locked > rows.length ? `, the oldest ${rows.length} are shown` : ''));
  put($('#locked .list'), rows.map((r) => ({ ...r, lockedSeconds: 0 })), () => rows.map((r) => {
    const by = r.blockerGid ? `prepared transaction ${r.blockerGid}` : r.blockerPid && `pid ${r.blockerPid}`;
    return row('locked', r, [by ? `by ${by}` : 'by whom is not known', r.blockerUser && `, user ${r.blockerUser}`,
      r.blockerApplication && `, application ${r.blockerApplication}`, r.lockOn && `, lock on the ${r.lockOn}`], ['since ', when(r.lockedSince)]);
  }));
}

function showKept(v) {
  const rows = gather('keptReservations');
  say($('#kept .n'), v.kept === 0 ? 'none' : count(v.kept) + (v.keptAttention ? `, ${count(v.keptAttention)} for too long` : ''));
  put($('#kept .list'), rows, () => rows.map((r) => row('kept', r, r.attention && h('span', { class: 'some' }, 'for too long'), ['since ', when(r.since), ', looked at again ', when(r.lookAgainAt)], [['Retry', 'retry']])));
}

function showServers(v) {
  const list = [...new Map(queues().filter((q) => !chosen || q.queue === chosen).map((q) => [q.postgres?.address, ['Postgres', q.postgres]])).values(), ['Redis', v.redis]].filter(([, server]) => server);
  put($('#servers dl'), list, () => list.flatMap(([name, server]) => [h('dt', {}, name),
    h('dd', {}, h('span', { class: server.up ? 'good' : 'worse' }, server.up ? 'up' : 'out of reach'), `, ${server.address}`,
      server.clockOffsetSeconds != null && h('span', { class: Math.abs(server.clockOffsetSeconds) > 1 ? 'some' : 'soft' }, `, its clock ${server.clockOffsetSeconds < 0 ? 'behind' : 'ahead'} by ${lasting(server.clockOffsetSeconds)}`),
      server.error && h('div', { class: 'worse' }, server.error))]));
}

function showReconciliation() {
  const list = queues().filter((q) => !chosen || q.queue === chosen).map((q) => [q.queue, q.lastReconciliation]);
  put($('#reconciliation dl'), list, () => list.flatMap(([name, r]) => [h('dt', {}, several() ? name : 'Finished'),
    h('dd', {}, !r ? 'none since the start' : [when(r.finishedAt), ` in ${lasting(r.durationSeconds)}`, r.dryRun && ', dry run',
      r.ok ? `: ${spelled(r) || 'nothing found'}` : h('div', { class: 'worse' }, r.error)])]));
}

// ---- figures of an answer, spelled out ----

const WORDS = { cleanedCount: 'released', releasedCount: 'released', failedCount: 'refused', skippedCount: 'locked', mirrorMissing: 'missing in Redis', mirrorMisplaced: 'too late in Redis', mirrorOrphaned: 'stale in Redis', mirrorSpent: 'spent' };
function spelled(body) {
  const word = (name) => WORDS[name] ?? name.replace(/Count$/, '').replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);
  return Object.entries(body).filter(([name, n]) => Number.isFinite(n) && (n || name === 'cleanedCount') && name !== 'durationSeconds').map(([name, n]) => `${word(name)} ${count(n)}`).join(', ');
}

// ---- actions: each asks first, and shows what happened ----

const field = (name, label, attributes = {}) => h('label', {}, label, ' ', h('input', { name, autocomplete: 'off', ...attributes }));
const check = (name, label) => h('label', {}, h('input', { name, type: 'checkbox', value: 'true' }), ` ${label}`);
const ofQueue = () => (chosen ? ` of the queue ${chosen}` : several() ? ' of all queues' : '');
const which = (r) => (r ? `the reservation ${r.reservationId}` : `all that were refused${failures.product && `, of product ${failures.product}`}${failures.sqlstate && `, with SQLSTATE ${failures.sqlstate}`}${ofQueue()}`);

const ACTS = {
  sweep: { title: 'Sweep now', go: 'Sweep', text: () => `Releases every expired reservation${ofQueue()} at once, straight from Postgres. Nothing is released early.` },
  reconcile: { title: 'Reconcile', go: 'Reconcile', text: () => `Compares the reservations${ofQueue()}, the entries in Redis and the stock counters, and repairs entries. Counters are changed only if you say so. The result appears under “Last reconciliation”.`,
    fields: () => [check('dryRun', 'Dry run: report, change nothing'), check('repairStock', 'Repair stock counters that drifted')] },
  pause: { title: 'Pause', go: 'Pause', text: () => `No sweeper releases anything${ofQueue()} until the pause ends or is ended.`,
    fields: () => [field('for', 'For how long (30m, 2h; at most 7 days)', { value: '30m', required: true }), field('reason', 'Why', { required: true })] },
  resume: { title: 'Resume', go: 'Resume', text: () => `Ends the pause${ofQueue()}: what is due is released at once.` },
  token: { title: 'Token', go: 'Use', text: () => (token ? 'This tab has a token. Another takes its place; none makes the tab forget it.' : 'With SWEEPER_ADMIN_TOKEN this page can change things. Where reading needs a token too, SWEEPER_READ_TOKEN will do for that.') },
  retry: { title: 'Retry', go: 'Retry', text: (r) => `Tries ${which(r)} again at once.` },
  forget: { title: 'Forget', go: 'Forget', text: (r) => `Removes the record of ${which(r)} from Redis. The reservation itself is not touched; what is still refused comes back.` },
};
const dialog = $('#ask'), tokenBox = $('#ask-token input');
let current = null;

function begin(name, r = null) {
  const act = ACTS[name];
  current = { name, r };
  openDialog(act.title, act.text(r), act.go, act.fields?.() ?? []);
}

function openDialog(title, text, go, fields) {
  say($('#ask-title'), title);
  say($('#ask-text'), text);
  say($('#ask-result'), '');
  say($('#ask-go'), go);
  say($('#ask-no'), go ? 'Cancel' : 'Close');
  $('#ask-fields').replaceChildren(...fields);
  $('#ask-token').hidden = !go || (token !== '' && current.name !== 'token');
  $('#ask-go').hidden = !go;
  $('#ask-go').disabled = false;
  tokenBox.value = '';
  tokenBox.required = !$('#ask-token').hidden && current.name !== 'token';
  if (!dialog.open) dialog.showModal();
}

// What is said remains, in the dialog and in the list of what was done.
function conclude(text, ok) {
  say($('#ask-result'), text);
  $('#ask-result').className = ok ? 'good' : 'worse';
  $('#ask-go').hidden = $('#ask-token').hidden = true;
  $('#ask-fields').replaceChildren();
  $('#ask-no').focus();
}

function log(title, text, ok) {
  $('#done').hidden = false;
  $('#log').prepend(h('li', {}, h('time', { class: 'soft' }, clock(Date.now())), h('span', {}, `${title}: `, h('span', { class: ok ? null : 'worse' }, text))));
  while ($('#log').children.length > 8) $('#log').lastChild.remove();
}

async function act({ name, r }, given) {
  const all = name === 'retry' || name === 'forget';
  const { product, sqlstate } = failures;
  const parameters = r ? { id: r.reservationId, queue: several() ? r.queue : '' } : { queue: chosen, ...given, ...(all && { all: 'true', product, sqlstate }) };
  const { code, body } = await ask(query(name, parameters), 'POST', null);
  if (code === 401) token = '';
  const ok = code >= 200 && code < 300;
  const detail = spelled(body) || (body.until ? `until ${clock(Date.parse(body.until))}` : '');
  return { ok, code, text: ok ? (name === 'reconcile' ? 'it has begun' : detail || 'done') : `${body.error ?? `answer ${code}`}${detail && ` (${detail})`}` };
}

dialog.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (!$('#ask-token').hidden) token = tokenBox.value.trim();
  tokenBox.value = '';
  if (current.name === 'token') {
    dialog.close();
    poll(true);
    return;
  }
  const mine = current, title = ACTS[mine.name].title + (mine.r ? ` ${mine.r.reservationId}` : '');
  const given = Object.fromEntries(new FormData($('form', dialog)));
  $('#ask-go').disabled = true;
  say($('#ask-result'), 'Under way …');
  $('#ask-result').className = '';
  say($('#ask-no'), 'Close');
  const { ok, text, code } = await act(mine, given).catch((error) => ({ ok: false, text: `no answer: ${error.message}` }));
  log(title, text, ok);
  if (current === mine && dialog.open) {
    if (code === 401) begin(mine.name, mine.r);
    if (code === 401) say($('#ask-result'), text);
    else conclude(`${ok ? '' : 'It failed: '}${text}`, ok);
  }
  poll(true);
});
$('#ask-no').addEventListener('click', () => dialog.close());

// ---- why is it not released ----

function tree(value) {
  if (value == null) return 'none';
  if (Array.isArray(value)) return value.length ? h('ul', {}, value.map((one) => h('li', {}, tree(one)))) : 'none';
  if (typeof value === 'object') return h('dl', {}, Object.entries(value).filter(([, one]) => one != null).flatMap(([name, one]) => [h('dt', {}, name.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)), h('dd', {}, tree(one))]));
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return h('span', {}, value, ', ', when(value));
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}

async function explain(id) {
  const mine = (current = { name: 'explain' });
  openDialog(`Why is ${id} not released?`, 'Asking …', '', []);
  const { code, body } = await ask(query('explain', { id, queue: chosen }), 'GET', AbortSignal.timeout(15000))
    .catch((error) => ({ body: { error: `no answer: ${error.message}` } }));
  if (current !== mine) return;
  const { why, todo, next, ...rest } = body;
  say($('#ask-text'), why ?? body.error ?? `answer ${code}`);
  if (why) $('#ask-fields').replaceChildren(...[todo, next].filter(Boolean).map((text) => h('p', {}, text)), h('details', {}, h('summary', {}, 'All that is known'), tree(rest)));
}

// ---- events ----

for (const b of document.querySelectorAll('[data-act]')) b.addEventListener('click', () => begin(b.dataset.act));
$('#queue').addEventListener('change', (event) => {
  chosen = event.target.value;
  poll(true);
});
$('#filter').addEventListener('submit', (event) => {
  event.preventDefault();
  const { product, sqlstate } = Object.fromEntries(new FormData(event.target));
  Object.assign(failures, { product: product.trim(), sqlstate: sqlstate.trim(), limit: PAGE });
  poll(true);
});
$('#more').addEventListener('click', () => {
  failures.limit += 4 * PAGE;
  poll(true);
});
$('#explain form').addEventListener('submit', (event) => {
  event.preventDefault();
  explain($('#explain input').value.trim());
});
$('#minutes').addEventListener('toggle', () => show());
document.addEventListener('visibilitychange', () => document.hidden || poll());
new ResizeObserver(() => status && showLateness(view())).observe($('#histogram'));
setInterval(tick, 1000);
poll();
