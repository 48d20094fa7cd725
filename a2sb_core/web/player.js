// All versions play in sync, and all but one are muted.
let audios = [], active = 0, shown = null, view = null;
const DRIFT_S = 0.03, TIMES = 4;
const part = (name) => element.querySelector(`[data-part="${name}"]`);
const add = (place, tag, fields) => place.appendChild(Object.assign(document.createElement(tag), fields));
const url = (path) => "gradio_api/file=" + path.split("/").map(encodeURIComponent).join("/");
const titled = (name) => name[0].toUpperCase() + name.slice(1);
const clock = (seconds) => {
  const tenths = Math.round(10 * seconds);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
};

function build() {
  view = props.value ? JSON.parse(props.value) : null;
  part("empty").hidden = view !== null;
  part("whole").hidden = view === null;
  const key = JSON.stringify(view && view.versions);
  if (key !== shown) {
    shown = key;
    stop();
    audios.forEach((audio) => audio.removeAttribute("src"));
    audios = view ? view.versions.map((one) => Object.assign(new Audio(url(one.audio)), { preload: "auto" })) : [];
    active = Math.max(0, audios.length - 1);
  }
  if (view) draw();
}

function draw() {
  const [chosen, plots] = ["switch", "plots"].map(part);
  for (const place of [chosen, plots]) place.replaceChildren();
  view.versions.forEach((one, index) => {
    add(chosen, "button", { type: "button", textContent: titled(one.name), onclick: () => choose(index) });
    drawPlot(plots, one, index);
  });
  const times = part("times");
  times.replaceChildren();
  for (let i = 0; i <= TIMES; i++) {
    const share = i / TIMES;
    add(times, "span", { textContent: clock(share * view.duration_s) }).style.left = `${100 * share}%`;
  }
  const legend = ["Frequency in kHz over time."];
  if (view.lines.length) legend.push("Dashed lines: frequencies of the damage.");
  if (view.stretches_s.length) legend.push("Dashed stripes: damaged stretches.");
  part("legend").textContent = legend.join(" ");
  part("play").onclick = toggle;
  part("whole").onkeydown = press;
  plots.setAttribute("aria-valuemax", view.duration_s.toFixed(1));
  choose(active);
}

function drawPlot(plots, one, index) {
  const plot = add(plots, "div", { className: "plot" });
  const ticks = add(plot, "div", { className: "ticks" });
  const stage = add(plot, "div", { className: "stage" });
  for (const tick of view.ticks) {
    add(ticks, "span", { textContent: tick.label }).style.bottom = `${100 * tick.at}%`;
  }
  add(stage, "img", { src: url(one.image), alt: `Spectrogram, ${one.name}`, draggable: false });
  for (const [start, end] of view.stretches_s) {
    const style = add(stage, "div", { className: "stretch" }).style;
    style.left = `${(100 * start) / view.duration_s}%`;
    style.width = `${(100 * (end - start)) / view.duration_s}%`;
  }
  for (const mark of view.lines) {
    const line = add(stage, "div", { className: "line" });
    line.style.bottom = `${100 * mark.at}%`;
    add(line, "span", { textContent: `${Math.round(mark.hz)} Hz` });
  }
  add(stage, "div", { className: "head" });
  add(stage, "span", { className: "label", textContent: titled(one.name) });
  stage.onclick = (event) => {
    const box = stage.getBoundingClientRect();
    seek((view.duration_s * (event.clientX - box.left)) / box.width);
    choose(index);
    plots.focus();
  };
}

function choose(index) {
  active = index;
  audios.forEach((audio, i) => { audio.muted = i !== active; });
  element.querySelectorAll(".stage").forEach((stage, i) => stage.classList.toggle("active", i === active));
  [...part("switch").children].forEach((button, i) =>
    button.setAttribute("aria-pressed", String(i === active)));
}

function seek(seconds) {
  audios.forEach((audio) => { audio.currentTime = Math.min(Math.max(0, seconds), view.duration_s); });
}

function stop() { audios.forEach((audio) => audio.pause()); }

function toggle() {
  if (!audios.length) return;
  if (!audios[active].paused) return stop();
  seek(audios[active].ended ? 0 : audios[active].currentTime);
  audios.forEach((audio) => audio.play());
}

function press(event) {
  if (event.key === " " && event.target.tagName === "BUTTON") return;  // the key presses the button
  const now = audios.length ? audios[active].currentTime : 0;
  const does = {
    " ": toggle, x: () => choose((active + 1) % audios.length),
    ArrowLeft: () => seek(now - 2), ArrowRight: () => seek(now + 2),
  }[event.key];
  if (does) { event.preventDefault(); does(); }
}

function tick() {
  if (!element.isConnected) return stop();
  if (view && audios.length) {
    const main = audios[active];
    for (const audio of audios) {
      if (audio !== main && !main.paused && !audio.seeking && Math.abs(audio.currentTime - main.currentTime) > DRIFT_S) {
        audio.currentTime = main.currentTime;
      }
    }
    const share = Math.min(1, main.currentTime / view.duration_s);
    element.querySelectorAll(".head").forEach((head) => { head.style.left = `${100 * share}%`; });
    part("time").textContent = `${clock(main.currentTime)} / ${clock(view.duration_s)}`;
    part("play").classList.toggle("running", !main.paused);
    part("play").setAttribute("aria-label", main.paused ? "Play" : "Pause");
    part("plots").setAttribute("aria-valuenow", main.currentTime.toFixed(1));
  }
  requestAnimationFrame(tick);
}

watch("value", build);
build();
tick();
