"use strict";
// Draws the run that stands in #data: a top view and charts on one clock. One file above 400 lines, since a page is one
// script: every part draws from the same few variables (time, zoom, colours).
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const T = data.t, first = T[0], last = T[T.length - 1], span = last - first || 1;
  const topView = $("top-view"), charts = $("charts"), root = document.documentElement;
  const moments = [...document.querySelectorAll(".moment")];
  const subject = data.bodies[0];
  const LEFT = 58, RIGHT = 14, TRAIL = 4, FLASH = 0.45;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let now = first, playing = false, before = 0, zoom = 1, pan = [0, 0], ink = {}, pointed = -1;

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
  function pause() {
    playing = false; $("play").textContent = "Play"; $("play").setAttribute("aria-label", "Play");
  }
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
  const SURFACES = ["lane", "aisle", "area"], GLAZED = ["patch", "zone"], BARRIERS = ["wall", "fence"];
  const endless = data.ground.some((line) => line.kind === "lane"); // along a road the subject is followed
  const hall = !data.ground.some((line) => line.kind === "aisle") ? [] : data.ground.filter((line) => SURFACES.includes(line.kind)).flatMap((line) => line.points.map(([x, y]) => [x, y, 0]));
  const whole = bounds(data.bodies.flatMap((b) => T.flatMap((_, i) => b.x[i] === null ? [] : [[b.x[i], b.y[i], reach(b)]])).concat(hall));
  const partner = data.bodies.find((b) => b.role === "partner");
  const FOLLOW = Math.max(15 * subject.length, 12 * subject.width, 4);
  const somewhere = (body) => pose(body, now) || pose(body, T[body.x.findIndex((x) => x !== null)]);
  function camera(width, height) {
    const mode = $("view").value;
    let cx, cy, scale;
    const most = 60 / Math.min(subject.width, 1);
    const fit = ([x0, x1, y0, y1], least = 0, largest = most) => {
      cx = (x0 + x1) / 2; cy = (y0 + y1) / 2;
      scale = clamp(Math.min((width - 80) / Math.max(x1 - x0, 1e-6), (height - 80) / Math.max(y1 - y0, 1e-6)), least, largest);
    };
    const p = somewhere(subject) || { x: 0, y: 0, yaw: 0 };
    if (mode === "run") fit(whole);
    else if (mode === "all") {
      fit(bounds(data.bodies.flatMap((b) => { const q = pose(b, now); return q ? [[q.x, q.y, reach(b) + 2 * b.width]] : []; })));
    } else if (mode === "pair") { // near enough to see, wide enough to hold both, and never without the first one
      const q = (partner && somewhere(partner)) || p, room = 1.2 * subject.length;
      fit(bounds([[p.x, p.y, room], [q.x, q.y, room]]), 14 / subject.width * 0.5, Math.min(width / (8 * subject.length), height / (3.4 * subject.length)));
      const half = [(width / 2 - 90) / scale, (height / 2 - 60) / scale];
      cx = clamp(cx, p.x - half[0], p.x + half[0]); cy = clamp(cy, p.y - half[1], p.y + half[1]);
    } else {
      scale = Math.max(Math.min(width / FOLLOW, height / (5 * subject.length)), 44 / Math.max(subject.length, subject.width));
      if (scale * 3.2 * subject.width > height) scale = height / (3.2 * subject.width);
      const ahead = data.ground.length ? 0.2 / scale / zoom : 0;
      cx = p.x + ahead * width * Math.cos(p.yaw || 0); cy = p.y + ahead * height * Math.sin(p.yaw || 0);
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
  const AREAS = { lane: "asphalt", aisle: "asphalt", area: "asphalt", patch: "patch", zone: "zone", obstacle: "obstacle" };
  const surfaced = data.ground.some((line) => SURFACES.includes(line.kind));
  const FONT = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  const say = (c, text, x, y, color, { size = 12, weight = 400, align = "left" } = {}) => {
    c.font = `${weight} ${size}px ${FONT}`; c.textAlign = align; c.textBaseline = "alphabetic"; c.fillStyle = color;
    c.fillText(text, x, y);
  };
  const wide = (c, text, { size = 12, weight = 400 } = {}) => { c.font = `${weight} ${size}px ${FONT}`; return c.measureText(text).width; };
  function plate(c, x, y, w, h) {
    c.globalAlpha = 0.92; c.fillStyle = ink.paper; c.beginPath(); c.roundRect(x, y, w, h, 4); c.fill(); c.globalAlpha = 1;
    c.strokeStyle = ink.line; c.lineWidth = 1; c.stroke();
  }
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
    for (const line of data.ground) {
      if (!AREAS[line.kind]) continue;
      path(c, cam, line.points); c.closePath(); c.fillStyle = ink[AREAS[line.kind]];
      c.globalAlpha = GLAZED.includes(line.kind) ? 0.6 : 1; c.fill(); c.globalAlpha = 1;
    }
    for (const line of data.ground) {
      if (AREAS[line.kind]) continue;
      path(c, cam, line.points);
      c.strokeStyle = BARRIERS.includes(line.kind) ? ink.fence : line.kind === "divider" ? ink.paint : ink.edge;
      c.lineWidth = Math.max(1.5, line.width * cam.scale);
      // dashes of 6 m, 12 m apart, tied to the ground, so that one sees how fast the picture goes by
      c.setLineDash(line.kind === "divider" ? [6 * cam.scale, 12 * cam.scale] : []);
      c.stroke();
      c.setLineDash([]);
    }
    return [xs, step];
  }
  function patches(c, w, h, cam) { // the friction that is written on a stretch, where there is room for it
    for (const line of data.ground) {
      if (line.friction === null) continue;
      const seen = line.points.map(([x, y]) => [cam.x(x), cam.y(y)]);
      const left = clamp(Math.min(...seen.map((p) => p[0])), 0, w), right = clamp(Math.max(...seen.map((p) => p[0])), 0, w);
      const low = clamp(Math.max(...seen.map((p) => p[1])), 0, h);
      const text = `friction ${line.friction}`, width = wide(c, text, { size: 11 });
      if (right - left < width + 8) continue;
      say(c, text, (left + right) / 2, Math.min(low + 14, h - 22), ink.faint, { size: 11, align: "center" });
    }
  }
  function scaleBar(c, w, h, cam, xs, step) {
    for (const x of xs) {
      const px = cam.x(x);
      if (px > 26 && px < w - 56) say(c, `${x}`.replace("-", "−"), px, h - 6, ink.faint, { size: 11, align: "center" });
    }
    say(c, "x [m]", w - 6, h - 6, ink.faint, { size: 11, align: "right" });
    const long = step * cam.scale, x = 12, y = 18;
    c.strokeStyle = ink.ink; c.lineWidth = 1.5; c.beginPath();
    c.moveTo(x, y - 4); c.lineTo(x, y + 4); c.moveTo(x, y); c.lineTo(x + long, y); c.moveTo(x + long, y - 4); c.lineTo(x + long, y + 4); c.stroke();
    say(c, `${step} m`, x + long + 8, y + 4, ink.ink, { size: 11 });
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
  function plannedPaths(c, cam) { // where they mean to go, as long as nobody touched them
    for (const planned of data.paths) {
      if (now < planned.start - 1e-9 || (planned.end !== null && now >= planned.end - 1e-9)) continue;
      const body = data.bodies.find((b) => b.name === planned.body), p = pose(body, now);
      if (!p) continue;
      let nearest = 0, best = Infinity;
      planned.points.forEach(([x, y], i) => { const far = (x - p.x) ** 2 + (y - p.y) ** 2; if (far < best) { best = far; nearest = i; } });
      const room = 1 + Math.round(Math.max(0.6 * body.length, 0.6 * Math.abs(p.speed || 0)) / 1.5); // joined smoothly
      const rest = planned.points.slice(nearest + room);
      if (!rest.length) continue;
      path(c, cam, [[p.x, p.y], ...rest]);
      c.strokeStyle = ink[body.role]; c.lineWidth = 2; c.globalAlpha = body === subject ? 0.75 : 0.4;
      c.setLineDash([2, 6]); c.lineCap = "round"; c.stroke(); c.setLineDash([]); c.lineCap = "butt"; c.globalAlpha = 1;
    }
  }
  function links(c, cam) { // what hangs together
    c.strokeStyle = ink.linked; c.lineCap = "round";
    for (const link of data.links) {
      const places = link.bodies.map((name) => data.bodies.find((b) => b.name === name)).filter(Boolean).map((b) => pose(b, now)).filter(Boolean);
      if (places.length < 2) continue;
      path(c, cam, places.map((p) => [p.x, p.y]));
      c.lineWidth = Math.max(3, link.width * cam.scale); c.stroke();
    }
    c.lineCap = "butt";
  }
  const enlarged = (body, scale) => scale * Math.max(1, (body.small ? 13 : body.round ? 11 : 5) / (Math.max(body.length, body.width) * scale));
  function shape(c, cam, body, p) {
    const touched = data.contacts.some((k) => k.t <= now + 1e-6 && k.bodies.includes(body.name));
    const braking = body.brakes.some(([a, b]) => a <= now && now <= b), backwards = p.speed !== null && p.speed < -0.05;
    const k = enlarged(body, cam.scale), small = Math.max(body.length, body.width) * k < 18 && !body.small;
    c.save();
    c.translate(cam.x(p.x), cam.y(p.y)); c.rotate(-p.yaw);
    data.shapes[body.shape].forEach(([paint, points], n) => {
      if (n && small) return;
      c.beginPath();
      for (let i = 0; i < points.length; i += 2) { if (i) c.lineTo(points[i] * k, -points[i + 1] * k); else c.moveTo(points[i] * k, -points[i + 1] * k); }
      c.closePath();
      if (paint === "roof") { c.fillStyle = "#ffffff"; c.globalAlpha = 0.2; }
      else c.fillStyle = paint === "body" ? ink[body.role] : paint === "tail" && braking ? ink.brake : paint === "tail" && backwards ? "#ffffff" : ink[paint];
      if (paint === "glass") c.globalAlpha = 0.72;
      c.fill(); c.globalAlpha = 1;
      if (!n || paint === "body") { c.strokeStyle = touched ? ink.event : ink.paper; c.lineWidth = touched ? 2 : 1; c.stroke(); }
    });
    c.restore();
  }
  function arrow(c, x0, y0, x1, y1, color, lineWidth = 2) {
    const turn = Math.atan2(y1 - y0, x1 - x0), head = 4 + 1.5 * lineWidth;
    c.strokeStyle = c.fillStyle = color; c.lineWidth = lineWidth;
    c.beginPath(); c.moveTo(x0, y0); c.lineTo(x1 - head * 0.7 * Math.cos(turn), y1 - head * 0.7 * Math.sin(turn)); c.stroke();
    c.beginPath(); c.moveTo(x1, y1);
    for (const side of [0.42, -0.42]) c.lineTo(x1 - head * Math.cos(turn + side), y1 - head * Math.sin(turn + side));
    c.fill();
  }
  function motion(c, cam, body, p) { // the way it really goes, half a second of it: backwards too
    const i = clamp(index(now), 1, T.length - 1), dt = T[i] - T[i - 1];
    if (body.x[i] === null || body.x[i - 1] === null || !(dt > 0)) return;
    const vx = (body.x[i] - body.x[i - 1]) / dt, vy = (body.y[i] - body.y[i - 1]) / dt, v = Math.hypot(vx, vy);
    const long = Math.min(0.5 * v * cam.scale, 90);
    if (v < 0.3 || long < 7) return;
    const along = Math.cos(p.yaw) * vx / v + Math.sin(p.yaw) * vy / v, k = enlarged(body, cam.scale);
    const from = body.round ? body.length / 2 * k : (Math.abs(along) * body.length + Math.sqrt(Math.max(0, 1 - along * along)) * body.width) / 2 * k;
    const x = cam.x(p.x), y = cam.y(p.y), ux = vx / v, uy = -vy / v;
    c.globalAlpha = 0.85; arrow(c, x + ux * (from + 2), y + uy * (from + 2), x + ux * (from + 2 + long), y + uy * (from + 2 + long), ink[body.role], 2); c.globalAlpha = 1;
  }
  const pace = (p) => p.speed === null ? "" : `${Math.abs(p.speed).toFixed(1)} m/s${p.speed < -0.05 ? " backwards" : ""}`;
  const met = new Set(data.contacts.flatMap((k) => k.bodies));
  function names(c, w, h, cam, shown, taken) {
    taken.push(...shown.map(({ body, p }) => {
      const k = enlarged(body, cam.scale) / 2, co = Math.abs(Math.cos(p.yaw)), si = Math.abs(Math.sin(p.yaw));
      const l = (co * body.length + si * body.width) * k, r = (si * body.length + co * body.width) * k;
      return [cam.x(p.x) - l, cam.y(p.y) - r, cam.x(p.x) + l, cam.y(p.y) + r];
    }));
    const boxes = taken.slice(-shown.length);
    for (const [n, { body, p }] of shown.entries()) {
      const px = cam.x(p.x), py = cam.y(p.y);
      if (!body.named || px < -20 || px > w + 20 || py < -20 || py > h + 20) continue;
      const speed = body.role === "other" && p.speed !== null && Math.abs(p.speed) < 0.05 ? "" : pace(p);
      const nameWidth = wide(c, body.name, { weight: 600 });
      const width = nameWidth + (speed ? wide(c, speed) + 7 : 0) + 12;
      const x = clamp(px - width / 2, 4, w - width - 4), up = boxes[n][1] - 24, down = boxes[n][3] + 6;
      const free = (y) => y > 26 && y + 18 < h - 18 && !taken.some(([a, b, d, e]) => x < d + 2 && x + width > a - 2 && y < e + 2 && y + 18 > b - 2);
      let y = [up, down, up - 22, down + 22, up - 44, down + 44].find(free);
      if (y === undefined) { // no room: only those that matter are written over others
        if (body.role === "other" && !met.has(body.name)) continue;
        y = clamp(up, 4, h - 24);
      }
      taken.push([x, y, x + width, y + 18]);
      c.strokeStyle = ink[body.role]; c.lineWidth = 1; c.globalAlpha = 0.6;
      c.beginPath(); c.moveTo(px, y < py ? y + 18 : y); c.lineTo(px, y < py ? boxes[n][1] : boxes[n][3]); c.stroke(); c.globalAlpha = 1;
      plate(c, x, y, width, 18);
      say(c, body.name, x + 6, y + 13, ink[body.role], { weight: 600 });
      say(c, speed, x + 6 + nameWidth + 7, y + 13, ink.ink);
    }
  }
  const hardest = Math.max(...data.contacts.map((k) => k.impulse ? Math.hypot(...k.impulse) : 0), 1e-9);
  // Some body's first contact is red; later ones, as it bounces on the ground, are grey.
  const touchedBefore = new Set(), firsts = new Set(), called = new Set(), loud = new Set();
  for (const k of [...data.contacts].sort((a, b) => a.t - b.t)) {
    if (!k.bodies.length || k.bodies.some((name) => !touchedBefore.has(name))) firsts.add(k);
    k.bodies.forEach((name) => touchedBefore.add(name));
  }
  for (const moment of data.moments) {
    if (moment.kind !== "contact") continue;
    if (!called.has(moment.title) || [...firsts].some((k) => Math.abs(k.t - moment.t) < 0.01)) loud.add(moment);
    called.add(moment.title);
  }
  function contacts(c, w, cam, taken) {
    const past = data.contacts.filter((k) => k.t <= now + 1e-6);
    past.forEach((k, n) => {
      const age = now - k.t, x = cam.x(k.x), y = cam.y(k.y), latest = n === past.length - 1;
      if (age < FLASH || (calm.matches && latest && age < 3 * FLASH)) {
        const grown = calm.matches ? 0.5 : age / FLASH;
        c.strokeStyle = c.fillStyle = ink.event; c.globalAlpha = 0.9 * (1 - grown); c.lineWidth = 4;
        c.beginPath(); c.arc(x, y, 8 + 46 * grown, 0, 2 * Math.PI); c.stroke();
        c.globalAlpha = 0.22 * (1 - grown); c.fill(); c.globalAlpha = 1;
      }
      if (latest && k.normal) { // the line of the normal, and the push that each received
        c.strokeStyle = ink.event; c.lineWidth = 1; c.setLineDash([4, 3]); c.beginPath();
        c.moveTo(x - 34 * k.normal[0], y + 34 * k.normal[1]); c.lineTo(x + 34 * k.normal[0], y - 34 * k.normal[1]); c.stroke(); c.setLineDash([]);
      }
      if (latest && k.impulse) {
        const size = Math.hypot(...k.impulse), long = 18 + 34 * Math.sqrt(size / hardest), ux = k.impulse[0] / (size || 1), uy = -k.impulse[1] / (size || 1);
        for (const [color, width] of [[ink.paper, 5], [ink.event, 2.5]]) {
          for (const side of [1, -1]) arrow(c, x + side * 5 * ux, y + side * 5 * uy, x + side * long * ux, y + side * long * uy, color, width);
        }
      }
      c.strokeStyle = ink.paper; c.lineWidth = 4; cross(c, x, y); c.strokeStyle = firsts.has(k) ? ink.event : ink.faint; c.lineWidth = 2; cross(c, x, y);
    });
    const last = past[past.length - 1];
    if (!last) return;
    const head = `contact at ${last.t.toFixed(3)} s`, lines = [last.bodies.join(" – "), ...last.words].filter(Boolean);
    const width = Math.max(wide(c, head, { weight: 600 }), ...lines.map((line) => wide(c, line))) + 16, high = 22 + 15 * lines.length;
    const x = w - width - 8;
    plate(c, x, 8, width, high);
    c.fillStyle = ink.event; c.fillRect(x, 8, 3, high);
    say(c, head, x + 9, 23, ink.event, { weight: 600 });
    lines.forEach((line, n) => say(c, line, x + 9, 38 + 15 * n, ink.ink));
    taken.push([x, 8, x + width, 8 + high]);
  }
  function cross(c, x, y) { c.beginPath(); c.moveTo(x - 5, y - 5); c.lineTo(x + 5, y + 5); c.moveTo(x - 5, y + 5); c.lineTo(x + 5, y - 5); c.stroke(); }
  function drawTopView() {
    const [c, w, h] = prepare(topView), cam = camera(w, h), taken = [];
    const [xs, step] = ground(c, w, h, cam);
    const shown = data.bodies.map((body) => ({ body, p: pose(body, now) })).filter((s) => s.p);
    for (const { body } of shown) if (body.named) trail(c, cam, body);
    plannedPaths(c, cam);
    patches(c, w, h, cam);
    links(c, cam);
    const below = [...shown].reverse(); // who is small lies on top: nobody vanishes below a car
    for (const small of [false, true]) for (const { body, p } of below) if (body.small === small) { motion(c, cam, body, p); shape(c, cam, body, p); }
    contacts(c, w, cam, taken);
    names(c, w, h, cam, shown, taken);
    scaleBar(c, w, h, cam, xs, step);
    root.dataset.view = `${cam.x(0)},${cam.y(0)},${cam.scale}`; // where (0, 0) lies, and pixels a metre
  }

  // -- the charts ------------------------------------------------------------------------------------------------
  const toX = (t, w) => LEFT + (t - first) / span * (w - LEFT - RIGHT);
  const FOOT = 22, HEAD = data.moments.length ? 34 : 0; // heights of the axis of time, and of the line of moments
  const ORDER = ["label", "event", "fault", "contact"]; // what is drawn on top comes last
  const HUES = { contact: "event", fault: "fault", event: "ink", label: "faint" };
  function drawCharts() {
    const [c, w, h] = prepare(charts);
    c.fillStyle = ink.paper; c.fillRect(0, 0, w, h);
    const room = (h - FOOT - HEAD) / data.series.length, [ts] = rounds(first, last, Math.max(3, (w - LEFT) / 110));
    for (const moment of data.moments) { // what lasts is a band behind everything
      if (moment.end === null || moment.kind !== "fault") continue;
      c.fillStyle = ink.fault; c.globalAlpha = 0.1;
      c.fillRect(toX(moment.t, w), 0, Math.max(2, toX(Math.min(moment.end, last), w) - toX(moment.t, w)), h - FOOT); c.globalAlpha = 1;
    }
    data.series.forEach((row, n) => drawRow(c, w, row, HEAD + n * room, room, ts));
    for (const t of ts) say(c, `${t}`, toX(t, w), h - 7, ink.faint, { size: 11, align: "center" });
    say(c, "t [s]", 8, h - 7, ink.faint, { size: 11 });
    for (const moment of data.moments) {
      const x = toX(moment.t, w);
      c.strokeStyle = loud.has(moment) ? ink.event : moment.kind === "fault" ? ink.fault : ink.faint;
      c.globalAlpha = loud.has(moment) ? 0.9 : 0.4; c.lineWidth = loud.has(moment) ? 1.5 : 1;
      c.setLineDash(loud.has(moment) ? [] : [2, 3]);
      c.beginPath(); c.moveTo(x, HEAD - 9); c.lineTo(x, h - FOOT); c.stroke();
    }
    c.setLineDash([]); c.globalAlpha = 1;
    const x = toX(now, w);
    c.strokeStyle = ink.ink; c.lineWidth = 1.5; c.beginPath(); c.moveTo(x, 0); c.lineTo(x, h - FOOT); c.stroke();
    data.series.forEach((row, n) => nameRow(c, w, row, HEAD + n * room, room));
    drawMoments(c, w);
    c.fillStyle = ink.ink; c.beginPath(); c.moveTo(x - 6, h - FOOT + 7); c.lineTo(x + 6, h - FOOT + 7); c.lineTo(x, h - FOOT); c.fill();
  }
  function current() { let found = -1; data.moments.forEach((moment, i) => { if (moment.t <= now + 5e-4) found = i; }); return found; }
  function drawMoments(c, w) { // a line of its own: what happened when, and what came of what
    if (!HEAD) return;
    const y = HEAD - 10, lit = pointed >= 0 ? pointed : current();
    say(c, "events", 8, y + 4, ink.faint, { size: 11 });
    c.strokeStyle = ink.line; c.lineWidth = 1; c.beginPath(); c.moveTo(LEFT, y + 0.5); c.lineTo(w - RIGHT, y + 0.5); c.stroke();
    const arc = (moment, strong) => {
      const a = toX(data.moments[moment.cause].t, w), b = toX(moment.t, w);
      if (b - a < 3) return;
      const high = Math.min(15, 4 + (b - a) / 6);
      c.strokeStyle = strong ? ink[HUES[moment.kind]] : ink.faint; c.lineWidth = strong ? 2 : 1; c.globalAlpha = strong ? 1 : 0.5;
      c.beginPath(); c.moveTo(a, y - 3); c.bezierCurveTo(a + (b - a) * 0.2, y - 4 - high, b - (b - a) * 0.2, y - 4 - high, b, y - 5); c.stroke(); c.globalAlpha = 1;
    };
    data.moments.forEach((moment, i) => { if (moment.cause >= 0 && i !== lit) arc(moment, false); });
    let step = lit; // the whole chain of causes of the moment that is lit
    for (let n = 0; n < 20 && step >= 0 && data.moments[step].cause >= 0; n++) { arc(data.moments[step], true); step = data.moments[step].cause; }
    const drawn = [...data.moments.keys()].sort((a, b) => ORDER.indexOf(data.moments[a].kind) - ORDER.indexOf(data.moments[b].kind));
    drawn.forEach((i) => {
      const moment = data.moments[i], x = toX(moment.t, w);
      if (moment.kind === "label" && data.moments.some((k) => k.kind === "contact" && Math.abs(toX(k.t, w) - x) < 5)) return; // says the same
      c.fillStyle = c.strokeStyle = ink[HUES[moment.kind]]; c.lineWidth = 2;
      if (moment.kind === "contact") { c.strokeStyle = ink.paper; c.lineWidth = 5; cross(c, x, y); c.strokeStyle = loud.has(moment) ? ink.event : ink.faint; c.lineWidth = 2.5; cross(c, x, y); }
      else if (moment.kind === "fault") { c.beginPath(); c.moveTo(x, y - 5); c.lineTo(x + 5, y); c.lineTo(x, y + 5); c.lineTo(x - 5, y); c.fill(); }
      else { c.beginPath(); c.arc(x, y, i === lit ? 5 : 3.5, 0, 2 * Math.PI); c.fill(); }
    });
    if (pointed >= 0) {
      const moment = data.moments[pointed], text = `${moment.t.toFixed(2)} s  ${moment.title}`, width = wide(c, text) + 12;
      const x = clamp(toX(moment.t, w) - width / 2, 4, w - width - 4);
      plate(c, x, HEAD - 2, width, 18); say(c, text, x + 6, HEAD + 11, ink[HUES[moment.kind]]);
    }
  }
  function drawRow(c, w, row, top, room, ts) {
    const head = 18, y0 = top + head, tall = room - head - 6, right = w - RIGHT;
    const toY = (v) => y0 + tall - (v - row.low) / (row.high - row.low) * tall;
    c.lineWidth = 1; c.strokeStyle = ink.line;
    if (top) { c.beginPath(); c.moveTo(0, top + 0.5); c.lineTo(w, top + 0.5); c.stroke(); }
    c.strokeStyle = ink.grid; c.beginPath();
    for (const t of ts) { c.moveTo(Math.round(toX(t, w)) + 0.5, y0); c.lineTo(Math.round(toX(t, w)) + 0.5, y0 + tall); }
    const [ys] = rounds(row.low, row.high, Math.max(2, tall / 24));
    for (const y of ys) { c.moveTo(LEFT, Math.round(toY(y)) + 0.5); c.lineTo(right, Math.round(toY(y)) + 0.5); }
    c.stroke();
    for (const y of ys) say(c, `${y}`.replace("-", "−"), LEFT - 6, toY(y) + 4, ink.faint, { size: 11, align: "right" });
    for (const [level] of row.limits) {
      c.strokeStyle = ink.faint; c.setLineDash([5, 4]); c.beginPath(); c.moveTo(LEFT, toY(level)); c.lineTo(right, toY(level)); c.stroke(); c.setLineDash([]);
    }
    c.save(); c.beginPath(); c.rect(LEFT, y0 - 1, right - LEFT, tall + 2); c.clip();
    for (const line of [...row.lines].reverse()) {
      c.strokeStyle = ink[line.role]; c.lineWidth = line.role === "limit" ? 1 : 1.8; c.beginPath();
      c.setLineDash(line.role === "limit" ? [5, 4] : line.role === "need" ? [2, 3] : []);
      let open = false;
      for (let i = 0; i < T.length; i++) {
        const v = line.values[i];
        if (v === null) { open = false; continue; }
        const y = clamp(toY(v), y0, y0 + tall); // what runs off the scale runs along its edge
        if (open) c.lineTo(toX(T[i], w), y); else c.moveTo(toX(T[i], w), y);
        open = true;
      }
      c.stroke(); c.setLineDash([]);
    }
    c.restore();
  }
  function nameRow(c, w, row, top, room) { // on top of everything, so that no line runs through the numbers
    const y0 = top + 18, tall = room - 24, toY = (v) => y0 + tall - (v - row.low) / (row.high - row.low) * tall;
    let x = LEFT;
    const write = (text, color, weight = 400) => {
      c.font = `${weight} 12px ${FONT}`;
      const width = c.measureText(text).width;
      if (x + width > w) return; // a telephone: what does not fit is left out whole
      c.globalAlpha = 0.85; c.fillStyle = ink.paper; c.fillRect(x - 2, top + 2, width + 4, 15); c.globalAlpha = 1;
      say(c, text, x, top + 13, color, { weight, size: 12 });
      x += width + 9;
    };
    write([row.name, row.unit && `[${row.unit}]`].filter(Boolean).join(" ") || " ", ink.ink, 600);
    for (const line of row.lines) {
      const v = at(line.values, now);
      write(`${line.whose === row.name ? "" : line.whose} ${v === null ? "–" : v.toFixed(Math.abs(v) < 10 ? 2 : 1).replace("-", "−")}`.trim(), ink[line.role], 600);
      if (v !== null) { const p = toY(v); if (p >= y0 - 2 && p <= y0 + tall + 2) { c.fillStyle = ink[line.role]; c.beginPath(); c.arc(toX(now, w), p, 3.5, 0, 2 * Math.PI); c.fill(); } }
    }
    for (const [, words] of row.limits) if (words) write(`- - ${words}`, ink.faint); // beside the curves' names, off the curves
    if (row.about && w > 620) write(row.about, ink.faint);
  }

  // -- everything together --------------------------------------------------------------------------------------
  function colors() {
    const style = getComputedStyle(root);
    for (const name of ("paper ink faint line ground asphalt patch zone obstacle linked paint edge fence grid subject partner other event fault need limit "
      + "glass dark lamp tail brake skin block").split(" ")) {
      ink[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }
  function draw() {
    drawTopView(); drawCharts();
    $("time").value = now;
    $("time").setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
    $("clock").textContent = `${now.toFixed(2)} s`;
    root.dataset.time = now.toFixed(4);
    const here = current();
    moments.forEach((moment, i) => {
      moment.classList.toggle("ahead", i > here);
      if (i === here) moment.setAttribute("aria-current", "true"); else moment.removeAttribute("aria-current");
    });
    if (!playing) speak(here);
  }
  function speak(here) { // what the picture shows, in words
    const parts = data.bodies.slice(0, 8).map((b) => { const p = pose(b, now); return p ? `${b.name} ${pace(p)}`.trim() : ""; }).filter(Boolean);
    const gap = data.series.find((row) => row.name === "gap"), v = gap ? at(gap.lines[0].values, now) : null;
    topView.setAttribute("aria-label", `The run from above at ${now.toFixed(2)} seconds: ${parts.join(", ")}${v === null ? "" : `; gap ${v.toFixed(1)} m`}`);
    const words = here >= 0 ? `${data.moments[here].t.toFixed(2)} s: ${data.moments[here].title}` : "";
    if ($("spoken").textContent !== words) $("spoken").textContent = words;
  }
  function zoomBy(factor, x = topView.clientWidth / 2, y = topView.clientHeight / 2) { // what is below (x, y) stays there
    const next = clamp(zoom * factor, 0.05, 40), k = next / zoom;
    const aside = [x - topView.clientWidth / 2, y - topView.clientHeight / 2];
    zoom = next; pan = [aside[0] - (aside[0] - pan[0]) * k, aside[1] - (aside[1] - pan[1]) * k]; draw();
  }
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
  moments.forEach((moment) => moment.addEventListener("click", () => { pause(); seek(data.moments[Number(moment.dataset.index)].t); }));
  function nearest(e) { // the moment whose sign is below the pointer
    const box = charts.getBoundingClientRect();
    if (e.clientY - box.top > HEAD) return -1;
    let found = -1, best = 9;
    data.moments.forEach((moment, i) => { const far = Math.abs(toX(moment.t, box.width) - (e.clientX - box.left)); if (far < best) { best = far; found = i; } });
    return found;
  }
  function scrub(e) { pause(); const box = charts.getBoundingClientRect(); seek(first + (e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * span); }
  charts.addEventListener("pointerdown", (e) => {
    const i = nearest(e);
    if (i >= 0) { pause(); seek(data.moments[i].t); } else { charts.setPointerCapture(e.pointerId); scrub(e); }
  });
  charts.addEventListener("pointermove", (e) => {
    if (e.buttons) { scrub(e); return; }
    const i = nearest(e);
    if (i !== pointed) { pointed = i; drawCharts(); }
  });
  charts.addEventListener("pointerleave", () => { if (pointed >= 0) { pointed = -1; drawCharts(); } });
  topView.addEventListener("pointerdown", (e) => topView.setPointerCapture(e.pointerId));
  topView.addEventListener("pointermove", (e) => { if (e.buttons) { pan = [pan[0] + e.movementX, pan[1] + e.movementY]; draw(); } });
  topView.addEventListener("dblclick", () => { zoom = 1; pan = [0, 0]; draw(); });
  topView.addEventListener("wheel", (e) => { e.preventDefault(); zoomBy(e.deltaY < 0 ? 1.1 : 1 / 1.1, e.offsetX, e.offsetY); }, { passive: false });
  const faster = (by) => { $("rate").selectedIndex = clamp($("rate").selectedIndex + by, 0, $("rate").options.length - 1); };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    if (e.key === " " && e.target.tagName === "BUTTON") return; // the button is meant
    const many = e.shiftKey ? 10 : 1;
    const does = {
      " ": toggle, ArrowLeft: () => { pause(); seek(now - many * STEP); }, ArrowRight: () => { pause(); seek(now + many * STEP); },
      Home: () => { pause(); seek(first); }, End: () => { pause(); seek(last); },
      n: () => { const next = data.moments.find((moment) => moment.t > now + 5e-4); pause(); seek(next ? next.t : last); },
      p: () => { const past = data.moments.filter((moment) => moment.t < now - 5e-4).pop(); pause(); seek(past ? past.t : first); },
      v: () => { $("view").selectedIndex = ($("view").selectedIndex + 1) % $("view").options.length; zoom = 1; pan = [0, 0]; draw(); },
      "<": () => faster(-1), ",": () => faster(-1), ">": () => faster(1), ".": () => faster(1),
      "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8),
    }[e.key];
    if (does) { e.preventDefault(); does(); }
  });
  // Without lanes there is nothing to follow: the whole run, or everybody where bodies would be dots.
  const longest = Math.max(...data.bodies.map((b) => b.length));
  const small = Math.max(whole[1] - whole[0], whole[3] - whole[2]) <= 25 * longest;
  $("view").value = endless ? (partner ? "pair" : "follow") : surfaced || small || data.bodies.some((b) => !b.named) ? "run" : data.bodies.length > 1 ? "all" : "follow";
  const wanted = /^#t=([\d.]+)$/.exec(location.hash);
  if (wanted) now = clamp(Number(wanted[1]), first, last);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colors(); draw(); });
  new ResizeObserver(draw).observe($("top-view-box"));
  new ResizeObserver(draw).observe($("charts-box"));
  colors(); draw();
  root.dataset.ready = "true";
})();
