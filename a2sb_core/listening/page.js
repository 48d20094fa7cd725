"use strict";
// Everything that the page knows is in `test`; ids of stimuli say nothing about the systems.
const test = JSON.parse(document.getElementById("test").textContent);
const FADE_S = 0.01, LEAD_S = 0.05;
const GRADES = ["very different", "different", "similar", "close", "as the reference"];
const byId = (id) => document.getElementById(id);
const add = (place, tag, fields) => place.appendChild(Object.assign(document.createElement(tag), fields));

// The order of a participant: a function of the seed and the participant, the same as in Python.
function mix(text) {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
function shuffled(names, place) {
  const keyed = names.map((name) => [mix(`${place}/${name}`), name]);
  keyed.sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1));
  return keyed.map((pair) => pair[1]);
}

// All stimuli of a trial loop from one instant, and all but one are silent, so that a switch keeps
// the place to the sample.
let context = null, playing = [], active = -1, started = 0;
const waiting = new Map();
function received(name, text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  waiting.get(name).resolve(bytes.buffer);
}
function load(name) {
  return new Promise((resolve, reject) => {
    waiting.set(name, { resolve });
    const script = add(document.head, "script", { src: `audio/${name}.js` });
    script.onerror = () => reject(new Error("A sound cannot be loaded: the folder is incomplete."));
    script.onload = () => script.remove();
  }).then((buffer) => context.decodeAudioData(buffer));
}
function stop() {
  for (const one of playing) one.source.stop();
  playing = [];
  active = -1;
}
async function start(names) {
  stop();
  const buffers = new Map();
  for (const name of new Set(names)) buffers.set(name, await load(name));
  await context.resume();
  started = context.currentTime + LEAD_S;
  playing = names.map((name) => {
    const source = context.createBufferSource(), gain = context.createGain();
    Object.assign(source, { buffer: buffers.get(name), loop: true });
    gain.gain.value = 0;
    source.connect(gain).connect(context.destination);
    source.start(started);
    return { source, gain, heard: false };
  });
}
function choose(index) {
  if (!playing[index]) return;
  const now = context.currentTime;
  playing.forEach((one, k) => {
    one.gain.gain.cancelScheduledValues(now);
    one.gain.gain.setValueAtTime(one.gain.gain.value, now);
    one.gain.gain.linearRampToValueAtTime(k === index ? 1 : 0, now + FADE_S);
  });
  active = index;
  playing[index].heard = true;
  if (context.state === "suspended") toggle();
  show();
}
function toggle() {
  const runs = context.state === "running";
  if (runs) context.suspend(); else context.resume();
  byId("play").textContent = runs ? "Play" : "Pause";
}
function draw() {
  if (playing.length) {
    const length = playing[0].source.buffer.duration;
    const share = Math.max(0, (context.currentTime - started) % length) / length;
    byId("position").style.width = `${100 * share}%`;
  }
  requestAnimationFrame(draw);
}

// The kinds of test: the buttons of a trial, what is rated, and when a trial is complete.
let participant = "", trials = [], ratings = [], given = {}, shownAt = 0;
const KINDS = {
  rating: {
    about: "In each trial, listen to the reference and to the sample, and rate how close the "
      + "sample is to the reference, from 1 (very different) to 5 (as the reference).",
    question: "How close is the sample to the reference?",
    keys: "Keys: R reference, S sample, 1 to 5 rating, space pause, Enter next.",
    versions: (trial, order) => [["Reference", "r", trial.reference], ["Sample", "s", order[0]]],
    rate(place, order) {
      const line = add(place, "div", { className: "line" });
      GRADES.forEach((grade, k) => {
        const button = add(line, "button", { type: "button", textContent: `${k + 1}: ${grade}` });
        Object.assign(button.dataset, { stimulus: order[0], value: k + 1 });
        button.onclick = () => give(order[0], k + 1);
      });
    },
    press(key, order) { if (key >= "1" && key <= "5") give(order[0], Number(key)); },
  },
  mushra: {
    about: "In each trial, compare the samples with the reference, and rate the quality of each "
      + "from 0 to 100. One of the samples is the reference itself; rate it with 100.",
    question: "How good is each sample, compared with the reference?",
    keys: "Keys: R reference, 1 to 9 samples, arrows rating of the sample that plays, space pause, "
      + "Enter next.",
    versions: (trial, order) => [["Reference", "r", trial.reference],
      ...order.map((name, k) => [`Sample ${k + 1}`, String(k + 1), name])],
    rate(place, order, lines) {
      order.forEach((name, k) => {
        const line = lines[k + 1];
        const slider = add(line, "input", { type: "range", min: 0, max: 100, step: 1, value: 50 });
        slider.setAttribute("aria-label", `Rating of sample ${k + 1}`);
        slider.dataset.stimulus = name;
        add(line, "output", { textContent: "-" });
        slider.oninput = () => give(name, Number(slider.value));
        slider.onclick = slider.oninput;
        slider.onfocus = () => { if (active !== k + 1) choose(k + 1); };
      });
      const scale = add(place, "div", { className: "scale" });
      for (const word of ["bad", "poor", "fair", "good", "excellent"]) add(scale, "span", { textContent: word });
    },
    press(key, order) {
      const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[key];
      const name = order[active - 1];
      if (step && name) give(name, Math.max(0, Math.min(100, (given[name] ?? 50) + step)));
    },
  },
  abx: {
    about: "In each trial, X is either A or B. Listen to all three, and decide which one it is. "
      + "Guess if you cannot tell.",
    question: "Is X the same as A or as B?",
    keys: "Keys: A, B and X play; left arrow: X is A, right arrow: X is B; space pause, Enter next.",
    versions: (trial) => [["A", "a", trial.stimuli[0]], ["B", "b", trial.stimuli[1]],
      ["X", "x", trial.stimuli[mix(`${test.seed}/${participant}/${trial.id}/X`) & 1]]],
    rate(place) {
      const line = add(place, "div", { className: "line" });
      for (const answer of ["A", "B"]) {
        const button = add(line, "button", { type: "button", textContent: `X is ${answer}` });
        Object.assign(button.dataset, { stimulus: "X", value: answer });
        button.onclick = () => give("X", answer);
      }
    },
    press(key) { if (key === "ArrowLeft" || key === "ArrowRight") give("X", key === "ArrowLeft" ? "A" : "B"); },
  },
};
const kind = KINDS[test.kind];

function give(stimulus, value) {
  given[stimulus] = value;
  show();
}
function isComplete() {
  const trial = trials[0];
  const wanted = test.kind === "abx" ? ["X"] : trial.order;
  return playing.length > 0 && playing.every((one) => one.heard) && wanted.every((name) => name in given);
}
function show() {
  document.querySelectorAll("#choices [data-play]").forEach((button) => {
    button.setAttribute("aria-pressed", Number(button.dataset.play) === active);
  });
  document.querySelectorAll("#choices [data-value]").forEach((button) => {
    button.setAttribute("aria-pressed", String(given[button.dataset.stimulus]) === button.dataset.value);
  });
  document.querySelectorAll("#choices input").forEach((slider) => {
    if (!(slider.dataset.stimulus in given)) return;
    slider.value = given[slider.dataset.stimulus];
    slider.nextElementSibling.textContent = slider.value;
  });
  const complete = isComplete();
  byId("next").disabled = !complete;
  byId("hint").textContent = complete ? "" : playing.every((one) => one.heard)
    ? "Give a rating to continue." : "Listen to everything once to continue.";
}

// Ratings are kept in the browser, so that a participant who comes back goes on where they were.
const place = () => `a2sb-listen/${test.id}/${participant}`;
function restore() {
  try { return JSON.parse(localStorage.getItem(place())) || []; } catch { return []; }
}
function keep() {
  try { localStorage.setItem(place(), JSON.stringify(ratings)); } catch { /* private windows */ }
}
const exported = () => ({ test: test.id, participant, ratings });
function asCsv() {
  const lines = ratings.map((one) => [test.id, participant, one.trial, one.stimulus, one.rating, one.seconds]);
  return [["test", "participant", "trial", "stimulus", "rating", "seconds"], ...lines]
    .map((line) => line.join(",") + "\n").join("");
}
// Everything is sent each time: the server keeps what it does not have, and nothing gets lost.
async function send() {
  if (!location.protocol.startsWith("http")) return null;
  try {
    const answer = await fetch("ratings", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(exported()),
    });
    return answer.ok ? "" : (await answer.text());
  } catch (error) {
    return String(error);
  }
}
function download(text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: type === "csv" ? "text/csv" : "application/json" }));
  link.download = `${test.id}-${participant}.${type}`;
  link.click();
}

async function next() {
  const trial = trials.shift(), seconds = Math.round((performance.now() - shownAt) / 100) / 10;
  for (const [stimulus, rating] of Object.entries(given)) {
    ratings.push({ trial: trial.id, stimulus, rating, seconds });
  }
  keep();
  stop();
  if (trials.length) {
    send();
    await present();
  } else {
    await finish();
  }
}
async function present() {
  const trial = trials[0];
  given = {};
  byId("place").textContent = `Trial ${test.trials.length - trials.length + 1} of ${test.trials.length}`;
  const choices = byId("choices"), versions = kind.versions(trial, trial.order);
  choices.replaceChildren();
  const lines = versions.map(([label], k) => {
    const line = add(choices, "div", { className: "line" });
    const button = add(line, "button", { type: "button", textContent: label });
    button.dataset.play = k;
    button.onclick = () => choose(k);
    return line;
  });
  kind.rate(choices, trial.order, lines);
  byId("next").disabled = true;
  byId("hint").textContent = "Loading.";
  await start(versions.map((version) => version[2]));
  shownAt = performance.now();
  choose(0);
}
async function finish() {
  byId("trial").hidden = true;
  byId("end").hidden = false;
  const problem = await send();
  byId("sent").textContent = problem === null
    ? "Download your ratings and send the file to the person who asked you."
    : problem === "" ? "Your ratings were sent. You can close the page."
      : `Your ratings could not be sent (${problem.trim()}). Download them, and send the file to the `
        + "person who asked you.";
}
function fail(error) { byId("failure").textContent = error.message || String(error); }

document.title = byId("title").textContent = test.title;
byId("instructions").textContent = kind.about;
byId("question").textContent = kind.question;
byId("keys").textContent = kind.keys;
byId("participant").value = new URLSearchParams(location.search).get("participant") || "";
byId("play").onclick = toggle;
byId("next").onclick = () => next().catch(fail);
byId("csv").onclick = () => download(asCsv(), "csv");
byId("json").onclick = () => download(JSON.stringify(exported(), null, 1) + "\n", "json");
byId("begin").onsubmit = (event) => {
  event.preventDefault();
  participant = byId("participant").value.trim();
  ratings = restore();
  const done = new Set(ratings.map((one) => one.trial));
  const known = new Map(test.trials.map((trial) => [trial.id, trial]));
  const here = `${test.seed}/${participant}`;
  trials = shuffled([...known.keys()], here).filter((name) => !done.has(name))
    .map((name) => ({ ...known.get(name), order: shuffled(known.get(name).stimuli, `${here}/${name}`) }));
  context = context || new AudioContext({ sampleRate: test.sample_rate });
  byId("welcome").hidden = true;
  byId("trial").hidden = trials.length === 0;
  (trials.length ? present() : finish()).catch(fail);
};
document.addEventListener("keydown", (event) => {
  if (byId("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key, trial = trials[0];
  const version = kind.versions(trial, trial.order).findIndex((one) => one[1] === key.toLowerCase());
  const onButton = event.target.closest("button") && !event.target.matches("#next");
  if (onButton && (key === " " || key === "Enter")) return;  // the button acts by itself
  const isOther = key === " " || key.startsWith("Arrow") || key.startsWith("Page");
  if (version >= 0 && !(test.kind === "rating" && key >= "1" && key <= "5")) choose(version);
  else if (key === "Enter" && !byId("next").disabled) next().catch(fail);
  else if (key === " ") toggle();
  else if (playing.length) kind.press(key, trial.order);
  if (isOther || key === "Enter") event.preventDefault();
});
document.addEventListener("click", (event) => {  // keys act on the trial after a click
  if (event.detail && event.target.closest("button")) document.activeElement.blur();
});
requestAnimationFrame(draw);
