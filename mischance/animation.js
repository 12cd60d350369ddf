"use strict";
// Draws the run that stands in #data: a picture from above, a strip of measures, and what moves between them.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const T = data.t, first = T[0], last = T[T.length - 1], span = last - first || 1;
  const stage = $("stage"), strip = $("strip"), root = document.documentElement;
  const moments = [...document.querySelectorAll(".moment")];
  const ego = data.bodies[0];
  const LEFT = 58, RIGHT = 14, TRAIL = 4, FLASH = 0.45;
  let now = first, playing = false, before = 0, zoom = 1, pan = [0, 0], ink = {};

  // -- time -----------------------------------------------------------------------------------------------------
  const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);
  function index(t) { // the last sample at or before t
    let lo = 0, hi = T.length - 1;
    while (lo < hi) { const mid = (lo + hi + 1) >> 1; if (T[mid] <= t + 1e-9) lo = mid; else hi = mid - 1; }
    return lo;
  }
  function at(values, t) {
    const i = index(t), a = values[i], b = values[Math.min(i + 1, T.length - 1)];
    if (a === null || b === null) return T[i] === t || b === null ? a : null;
    const gap = T[Math.min(i + 1, T.length - 1)] - T[i];
    return gap > 0 ? a + (b - a) * clamp((t - T[i]) / gap, 0, 1) : a;
  }
  const pose = (body, t) => {
    const x = at(body.x, t), y = at(body.y, t);
    return x === null || y === null ? null : { x, y, yaw: at(body.yaw, t) || 0, speed: at(body.speed, t) };
  };
  function seek(t) {
    now = clamp(t, first, last);
    if (now >= last) pause();
    draw();
  }
  function play() {
    if (now >= last) now = first;
    playing = true; before = performance.now();
    $("play").textContent = "Pause"; $("play").setAttribute("aria-label", "Pause");
    requestAnimationFrame(tick);
  }
  function pause() { playing = false; $("play").textContent = "Play"; $("play").setAttribute("aria-label", "Play"); }
  const toggle = () => { if (playing) pause(); else play(); draw(); };
  function tick(stamp) {
    if (!playing) return;
    const step = Math.max(0, stamp - before) / 1000 * Number($("rate").value);
    before = stamp;
    seek(now + step);
    if (playing) requestAnimationFrame(tick);
  }
  const STEP = Math.max(0.01, Math.min(0.05, span / 100));

  // -- the picture from above -----------------------------------------------------------------------------------
  function bounds(points) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [x, y, r] of points) {
      x0 = Math.min(x0, x - r); x1 = Math.max(x1, x + r); y0 = Math.min(y0, y - r); y1 = Math.max(y1, y + r);
    }
    return Number.isFinite(x0) ? [x0, x1, y0, y1] : [-1, 1, -1, 1];
  }
  const reach = (body) => Math.hypot(body.length, body.width) / 2;
  const whole = bounds(data.bodies.flatMap((b) => T.flatMap((_, i) => b.x[i] === null ? [] : [[b.x[i], b.y[i], reach(b)]])));
  const FOLLOW = Math.max(15 * ego.length, 12 * ego.width, 4);
  function camera(width, height) {
    const mode = $("view").value;
    let cx, cy, scale;
    const fit = ([x0, x1, y0, y1]) => {
      cx = (x0 + x1) / 2; cy = (y0 + y1) / 2;
      scale = Math.min((width - 80) / Math.max(x1 - x0, 1e-6), (height - 80) / Math.max(y1 - y0, 1e-6), 60 / Math.min(ego.width, 1));
    };
    if (mode === "run") fit(whole);
    else if (mode === "all") {
      fit(bounds(data.bodies.flatMap((b) => { const p = pose(b, now); return p ? [[p.x, p.y, reach(b) + 2 * b.width]] : []; })));
    } else {
      const p = pose(ego, now) || pose(ego, T[ego.x.findIndex((x) => x !== null)]) || { x: 0, y: 0 };
      scale = Math.max(width / FOLLOW, 44 / Math.max(ego.length, ego.width));
      if (scale * 3.2 * ego.width > height) scale = height / (3.2 * ego.width);
      const ahead = data.road.length ? 0.2 * width / scale / zoom : 0;
      cx = p.x + ahead * Math.cos(p.yaw || 0); cy = p.y + (data.road.length ? ahead * Math.sin(p.yaw || 0) : 0);
    }
    scale *= zoom;
    return { scale, cx: cx - pan[0] / scale, cy: cy + pan[1] / scale,
      x: (x) => width / 2 + (x - cx) * scale + pan[0], y: (y) => height / 2 - (y - cy) * scale + pan[1] };
  }
  function prepare(canvas) {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const w = Math.max(1, Math.round(box.width)), h = Math.max(1, Math.round(box.height));
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    }
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, w, h);
    c.lineJoin = "round";
    return [c, w, h];
  }
  const AREAS = { area: "asphalt", patch: "patch", obstacle: "obstacle" };
  const FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  const say = (c, text, x, y, color, { size = 12, weight = 400, align = "left" } = {}) => {
    c.font = `${weight} ${size}px ${FONT}`; c.textAlign = align; c.textBaseline = "alphabetic"; c.fillStyle = color;
    c.fillText(text, x, y);
  };
  function rounds(low, high, about) { // round numbers inside a range
    const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999), found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(12)));
    return [found, step];
  }
  function path(c, cam, points) {
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(cam.x(x), cam.y(y)) : c.moveTo(cam.x(x), cam.y(y))));
  }
  function ground(c, w, h, cam) {
    c.fillStyle = ink.ground; c.fillRect(0, 0, w, h);
    const x0 = cam.cx - w / 2 / cam.scale, x1 = cam.cx + w / 2 / cam.scale;
    const y0 = cam.cy - h / 2 / cam.scale, y1 = cam.cy + h / 2 / cam.scale;
    const [xs, step] = rounds(x0, x1, w / 90);
    c.strokeStyle = ink.grid; c.lineWidth = 1; c.beginPath();
    for (const x of xs) { c.moveTo(Math.round(cam.x(x)) + 0.5, 0); c.lineTo(Math.round(cam.x(x)) + 0.5, h); }
    for (let k = Math.ceil(y0 / step); k * step <= y1; k++) { const y = Math.round(cam.y(k * step)) + 0.5; c.moveTo(0, y); c.lineTo(w, y); }
    c.stroke();
    for (const line of data.road) {
      if (AREAS[line.kind]) { path(c, cam, line.points); c.closePath(); c.fillStyle = ink[AREAS[line.kind]]; c.fill(); }
    }
    for (const line of data.road) {
      if (AREAS[line.kind]) continue;
      path(c, cam, line.points);
      c.strokeStyle = line.kind === "edge" ? ink.edge : ink.paint;
      c.lineWidth = Math.max(1, 0.16 * cam.scale);
      // dashes of 6 m, 12 m apart, tied to the ground, so that one sees how fast the picture goes by
      c.setLineDash(line.kind === "edge" || line.kind === "stop" ? [] : [6 * cam.scale, 12 * cam.scale]);
      c.stroke();
      c.setLineDash([]);
    }
    return [xs, step];
  }
  function scaleBar(c, w, h, cam, xs, step) {
    for (const x of xs) {
      const px = cam.x(x);
      if (px > 26 && px < w - 40) say(c, `${x}`, px, h - 6, ink.faint, { size: 11, align: "center" });
    }
    say(c, "x [m]", w - 6, h - 6, ink.faint, { size: 11, align: "right" });
    const long = step * cam.scale, x = 12, y = 18;
    c.strokeStyle = ink.faint; c.lineWidth = 1.5; c.beginPath();
    c.moveTo(x, y - 4); c.lineTo(x, y + 4); c.moveTo(x, y); c.lineTo(x + long, y); c.moveTo(x + long, y - 4); c.lineTo(x + long, y + 4); c.stroke();
    say(c, `${step} m`, x + long + 8, y + 4, ink.faint, { size: 11 });
  }
  function trail(c, cam, body) {
    const from = index(now - TRAIL), to = index(now), color = ink[body.role];
    c.strokeStyle = color; c.lineWidth = 2;
    for (let i = from; i < to; i++) {
      if (body.x[i] === null || body.x[i + 1] === null) continue;
      c.globalAlpha = 0.55 * clamp(1 - (now - T[i]) / TRAIL, 0.04, 1);
      c.beginPath(); c.moveTo(cam.x(body.x[i]), cam.y(body.y[i])); c.lineTo(cam.x(body.x[i + 1]), cam.y(body.y[i + 1])); c.stroke();
    }
    c.globalAlpha = 1;
  }
  function shape(c, cam, body, p) {
    const touched = data.contacts.some((k) => k.t <= now + 1e-6 && k.who.includes(body.name));
    const l = Math.max(body.length * cam.scale, 3), w = Math.max(body.width * cam.scale, 3);
    c.save();
    c.translate(cam.x(p.x), cam.y(p.y)); c.rotate(-p.yaw);
    c.fillStyle = ink[body.role]; c.strokeStyle = touched ? ink.event : ink.paper; c.lineWidth = touched ? 2.5 : 1;
    c.beginPath();
    if (body.disc) c.arc(0, 0, Math.max(l / 2, 4), 0, 2 * Math.PI);
    else c.rect(-l / 2, -w / 2, l, w);
    c.fill(); c.stroke();
    if (!body.disc && l > 10) { // a bright stroke where the front is
      c.fillStyle = ink.paper; c.globalAlpha = 0.75;
      c.fillRect(l * 0.22, -w * 0.38, Math.max(1.5, l * 0.09), w * 0.76);
    }
    c.restore();
  }
  function names(c, w, h, cam, shown) {
    const taken = shown.map(({ body, p }) => { const r = body.width * cam.scale / 2; const l = body.length * cam.scale / 2; return [cam.x(p.x) - l, cam.y(p.y) - r, cam.x(p.x) + l, cam.y(p.y) + r]; });
    for (const { body, p } of shown) {
      const px = cam.x(p.x), py = cam.y(p.y);
      if (px < -40 || px > w + 40 || py < -40 || py > h + 40) continue;
      const speed = p.speed === null ? "" : `${p.speed.toFixed(1)} m/s`;
      c.font = `600 12px ${FONT}`;
      const nameWidth = c.measureText(body.name).width;
      c.font = `400 12px ${FONT}`;
      const width = nameWidth + (speed ? c.measureText(speed).width + 7 : 0) + 12;
      const r = Math.max(Math.abs(Math.sin(p.yaw)) * body.length, body.width) * cam.scale / 2 + 6;
      const x = clamp(px - width / 2, 4, w - width - 4);
      const free = (y) => y > 26 && y + 18 < h - 18 && !taken.some(([a, b, d, e]) => x < d && x + width > a && y < e && y + 18 > b);
      const places = [py - r - 18, py + r, py - r - 40, py + r + 22, py - r - 62, py + r + 44];
      const y = places.find(free) ?? clamp(places[0], 4, h - 24);
      taken.push([x, y, x + width, y + 18]);
      c.strokeStyle = ink[body.role]; c.lineWidth = 1; c.globalAlpha = 0.6;
      c.beginPath(); c.moveTo(px, y < py ? y + 18 : y); c.lineTo(px, py); c.stroke();
      c.globalAlpha = 0.9; c.fillStyle = ink.paper; c.beginPath(); c.roundRect(x, y, width, 18, 4); c.fill(); c.globalAlpha = 1;
      c.strokeStyle = ink.line; c.stroke();
      say(c, body.name, x + 6, y + 13, ink[body.role], { weight: 600 });
      say(c, speed, x + 6 + nameWidth + 7, y + 13, ink.ink);
    }
  }
  function contacts(c, cam) {
    for (const k of data.contacts) {
      const age = now - k.t;
      if (age < -1e-6) continue;
      const x = cam.x(k.x), y = cam.y(k.y);
      c.strokeStyle = ink.event;
      if (age < FLASH) {
        c.globalAlpha = 0.9 * (1 - age / FLASH); c.lineWidth = 4;
        c.beginPath(); c.arc(x, y, 8 + 46 * age / FLASH, 0, 2 * Math.PI); c.stroke();
        c.globalAlpha = 0.22 * (1 - age / FLASH); c.fillStyle = ink.event; c.fill();
        c.globalAlpha = 1;
      }
      c.lineWidth = 2; c.beginPath();
      c.moveTo(x - 5, y - 5); c.lineTo(x + 5, y + 5); c.moveTo(x - 5, y + 5); c.lineTo(x + 5, y - 5); c.stroke();
    }
  }
  function drawStage() {
    const [c, w, h] = prepare(stage), cam = camera(w, h);
    const [xs, step] = ground(c, w, h, cam);
    const shown = data.bodies.map((body) => ({ body, p: pose(body, now) })).filter((s) => s.p);
    for (const { body } of shown) trail(c, cam, body);
    for (const { body, p } of [...shown].reverse()) shape(c, cam, body, p);
    contacts(c, cam);
    names(c, w, h, cam, shown);
    scaleBar(c, w, h, cam, xs, step);
  }

  // -- the strip ------------------------------------------------------------------------------------------------
  const toX = (t, w) => LEFT + (t - first) / span * (w - LEFT - RIGHT);
  function drawStrip() {
    const [c, w, h] = prepare(strip);
    c.fillStyle = ink.paper; c.fillRect(0, 0, w, h);
    const foot = 22, room = (h - foot) / data.series.length, [ts] = rounds(first, last, Math.max(3, (w - LEFT) / 110));
    for (const mark of data.marks) { // what lasts is a band behind everything
      if (mark.end === null || mark.kind !== "fault") continue;
      c.fillStyle = ink.fault; c.globalAlpha = 0.1;
      c.fillRect(toX(mark.t, w), 0, Math.max(2, toX(Math.min(mark.end, last), w) - toX(mark.t, w)), h - foot); c.globalAlpha = 1;
    }
    data.series.forEach((row, n) => drawRow(c, w, row, n * room, room, ts));
    for (const t of ts) say(c, `${t}`, toX(t, w), h - 7, ink.faint, { size: 11, align: "center" });
    say(c, "t [s]", 8, h - 7, ink.faint, { size: 11 });
    for (const mark of data.marks) {
      const x = toX(mark.t, w);
      c.strokeStyle = mark.kind === "contact" ? ink.event : mark.kind === "fault" ? ink.fault : ink.faint;
      c.globalAlpha = mark.kind === "contact" ? 0.9 : 0.45; c.lineWidth = mark.kind === "contact" ? 1.5 : 1;
      c.setLineDash(mark.kind === "contact" ? [] : [2, 3]);
      c.beginPath(); c.moveTo(x, 0); c.lineTo(x, h - foot); c.stroke();
    }
    c.setLineDash([]); c.globalAlpha = 1;
    const x = toX(now, w);
    c.strokeStyle = ink.ink; c.lineWidth = 1.5; c.beginPath(); c.moveTo(x, 0); c.lineTo(x, h - foot); c.stroke();
    data.series.forEach((row, n) => nameRow(c, w, row, n * room, room));
    c.fillStyle = ink.ink; c.beginPath(); c.moveTo(x - 6, h - foot + 7); c.lineTo(x + 6, h - foot + 7); c.lineTo(x, h - foot); c.fill();
  }
  function drawRow(c, w, row, top, room, ts) {
    const head = 18, y0 = top + head, tall = room - head - 6, right = w - RIGHT;
    const toY = (v) => y0 + tall - (v - row.low) / (row.high - row.low) * tall;
    c.lineWidth = 1; c.strokeStyle = ink.line;
    if (top) { c.beginPath(); c.moveTo(0, top + 0.5); c.lineTo(w, top + 0.5); c.stroke(); }
    c.strokeStyle = ink.grid; c.beginPath();
    for (const t of ts) { c.moveTo(Math.round(toX(t, w)) + 0.5, y0); c.lineTo(Math.round(toX(t, w)) + 0.5, y0 + tall); }
    const [ys] = rounds(row.low, row.high, Math.max(1, tall / 26));
    for (const y of ys) { c.moveTo(LEFT, Math.round(toY(y)) + 0.5); c.lineTo(right, Math.round(toY(y)) + 0.5); }
    c.stroke();
    for (const y of ys) say(c, `${y}`, LEFT - 6, toY(y) + 4, ink.faint, { size: 11, align: "right" });
    const written = [];
    for (const [level, words] of row.limits) {
      c.strokeStyle = ink.faint; c.setLineDash([5, 4]); c.beginPath(); c.moveTo(LEFT, toY(level)); c.lineTo(right, toY(level)); c.stroke(); c.setLineDash([]);
      if (!words) continue;
      const beside = written.filter((other) => Math.abs(toY(level) - other.y) < 13).map((other) => other.x);
      const end = Math.min(right - 2, ...beside.map((x) => x - 16)); // two levels side by side: so are their words
      const low = toY(level) - 3 < y0 + 8;
      say(c, words, end, toY(level) + (low ? 12 : -3), ink.faint, { size: 10.5, align: "right" });
      written.push({ y: toY(level), x: end - c.measureText(words).width });
    }
    c.save(); c.beginPath(); c.rect(LEFT, y0 - 1, right - LEFT, tall + 2); c.clip();
    for (const line of [...row.lines].reverse()) {
      c.strokeStyle = ink[line.role]; c.lineWidth = 1.8; c.beginPath();
      let open = false;
      for (let i = 0; i < T.length; i++) {
        const v = line.values[i];
        if (v === null) { open = false; continue; }
        if (open) c.lineTo(toX(T[i], w), toY(v)); else c.moveTo(toX(T[i], w), toY(v));
        open = true;
      }
      c.stroke();
    }
    c.restore();
  }
  function nameRow(c, w, row, top, room) { // on top of everything, so that no line runs through the numbers
    const y0 = top + 18, tall = room - 24, toY = (v) => y0 + tall - (v - row.low) / (row.high - row.low) * tall;
    let x = LEFT;
    const write = (text, color, weight = 400) => {
      c.font = `${weight} 12px ${FONT}`;
      const width = c.measureText(text).width;
      c.globalAlpha = 0.85; c.fillStyle = ink.paper; c.fillRect(x - 2, top + 2, width + 4, 15); c.globalAlpha = 1;
      say(c, text, x, top + 13, color, { weight, size: 12 });
      x += width + 9;
    };
    write(`${row.name} [${row.unit}]`, ink.ink, 600);
    for (const line of row.lines) {
      const v = at(line.values, now);
      write(`${line.whose} ${v === null ? "–" : v.toFixed(Math.abs(v) < 10 ? 2 : 1)}`, ink[line.role], 600);
      if (v !== null) { const p = toY(v); if (p >= y0 - 2 && p <= y0 + tall + 2) { c.fillStyle = ink[line.role]; c.beginPath(); c.arc(toX(now, w), p, 3.5, 0, 2 * Math.PI); c.fill(); } }
    }
    if (row.about && w > 620) write(row.about, ink.faint);
  }

  // -- everything together --------------------------------------------------------------------------------------
  function colors() {
    const style = getComputedStyle(root);
    for (const name of ["paper", "ink", "faint", "line", "ground", "asphalt", "patch", "obstacle", "paint", "edge", "grid", "ego", "partner", "other", "event", "fault"]) {
      ink[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }
  function draw() {
    drawStage(); drawStrip();
    $("time").value = now;
    $("time").setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
    $("clock").textContent = `${now.toFixed(2)} s`;
    root.dataset.time = now.toFixed(4);
    let current = -1;
    data.marks.forEach((mark, i) => { if (mark.t <= now + 5e-4) current = i; });
    moments.forEach((moment, i) => {
      moment.classList.toggle("ahead", i > current);
      if (i === current) moment.setAttribute("aria-current", "true"); else moment.removeAttribute("aria-current");
    });
  }
  const zoomBy = (factor) => { zoom = clamp(zoom * factor, 0.05, 40); pan = [pan[0] * factor, pan[1] * factor]; draw(); };
  $("time").min = first; $("time").max = last;
  for (const rate of span > 120 ? [0.25, 1, 4, 16, 60, 240] : [0.1, 0.25, 0.5, 1, 2, 4]) {
    $("rate").append(new Option(`${rate}×`, rate, rate === 1, rate === 1));
  }
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => { pause(); seek(now - STEP); });
  $("forth").addEventListener("click", () => { pause(); seek(now + STEP); });
  $("time").addEventListener("input", (e) => { pause(); seek(Number(e.target.value)); });
  $("view").addEventListener("change", () => { zoom = 1; pan = [0, 0]; draw(); });
  $("in").addEventListener("click", () => zoomBy(1.25));
  $("out").addEventListener("click", () => zoomBy(0.8));
  moments.forEach((moment) => moment.addEventListener("click", () => { pause(); seek(data.marks[Number(moment.dataset.index)].t); }));
  function scrub(e) { pause(); const box = strip.getBoundingClientRect(); seek(first + (e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * span); }
  strip.addEventListener("pointerdown", (e) => { strip.setPointerCapture(e.pointerId); scrub(e); });
  strip.addEventListener("pointermove", (e) => { if (e.buttons) scrub(e); });
  stage.addEventListener("pointerdown", (e) => stage.setPointerCapture(e.pointerId));
  stage.addEventListener("pointermove", (e) => { if (e.buttons) { pan = [pan[0] + e.movementX, pan[1] + e.movementY]; draw(); } });
  stage.addEventListener("dblclick", () => { zoom = 1; pan = [0, 0]; draw(); });
  stage.addEventListener("wheel", (e) => { e.preventDefault(); zoomBy(e.deltaY < 0 ? 1.1 : 1 / 1.1); }, { passive: false });
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    if (e.key === " " && e.target.tagName === "BUTTON") return; // the button is meant
    const many = e.shiftKey ? 10 : 1;
    const does = {
      " ": toggle, ArrowLeft: () => { pause(); seek(now - many * STEP); }, ArrowRight: () => { pause(); seek(now + many * STEP); },
      Home: () => { pause(); seek(first); }, End: () => { pause(); seek(last); },
      "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8),
    }[e.key];
    if (does) { e.preventDefault(); does(); }
  });
  // Without a road there is no way to follow: the whole run, or everybody where its bodies would be dots.
  const longest = Math.max(...data.bodies.map((b) => b.length));
  const onRoad = data.road.some((line) => line.kind === "area");
  const small = Math.max(whole[1] - whole[0], whole[3] - whole[2]) <= 25 * longest;
  if (!onRoad && (small || data.bodies.length > 1)) $("view").value = small ? "run" : "all";
  const wanted = /^#t=([\d.]+)$/.exec(location.hash);
  if (wanted) now = clamp(Number(wanted[1]), first, last);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colors(); draw(); });
  new ResizeObserver(draw).observe($("stage-box"));
  new ResizeObserver(draw).observe($("strip-box"));
  colors(); draw();
  root.dataset.ready = "true";
})();
