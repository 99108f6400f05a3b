'use strict';

const $ = id => document.getElementById(id);
const canvas = $('canvas');
const pen = canvas.getContext('2d');
const HALF = 10; // bars below the threshold
let asked = 0;
let resizes = false; // whether the service does, with images of any size

function say(text) {
  $('message').textContent = text;
}

async function fetchJson(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The service cannot be reached.');
  }
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.error);
  }
  return answer;
}

// Both questions about the same image; of answers that come late, those to an older one are left.
async function ask(image, type) {
  const turn = ++asked;
  const options = { method: 'POST', body: image, headers: { 'Content-Type': type } };
  try {
    const answers = await Promise.all([fetchJson('predict', options), fetchJson('clips', options)]);
    if (turn === asked) {
      say('');
      showClasses(answers[0].classes);
      showClips(answers[1].clips);
    }
  } catch (e) {
    if (turn === asked) {
      say(e.message);
    }
  }
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className || '';
  return made;
}

function percent(share) {
  return (100 * share).toFixed(1) + ' %';
}

function showClasses(classes) {
  $('classes').replaceChildren(...classes.map(one => {
    const row = document.createElement('li');
    const bar = document.createElement('progress');
    bar.value = Number(one.probability) || 0; // of NaN, none
    bar.setAttribute('aria-label', one.label);
    row.append(element('span', one.label, 'label'), bar, element('span', percent(one.probability), 'share'));
    return row;
  }));
}

function drawn(name, attributes) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

function histogram(counts, text) {
  const most = Math.max(1, ...counts);
  const plot = drawn('svg', { viewBox: `0 0 ${counts.length} 10`, preserveAspectRatio: 'none', role: 'img', 'aria-label': text });
  counts.forEach((count, i) => {
    const height = 10 * Math.sqrt(count / most); // so that few are seen beside many
    plot.append(drawn('rect', { x: i + 0.05, y: 10 - height, width: 0.9, height, class: i < HALF ? 'below' : 'above' }));
  });
  plot.append(drawn('line', { x1: HALF, y1: 0, x2: HALF, y2: 10 }));
  return plot;
}

function showClips(clips) {
  if (clips.length === 0) {
    $('clips').textContent = 'This network clips nothing.';
    return;
  }
  $('clips').replaceChildren(...clips.map(clip => {
    const text = `${clip.name}: threshold ${Number(clip.threshold).toPrecision(3)}, ${percent(clip.clipRate)} clipped`;
    const figure = document.createElement('figure');
    figure.append(histogram(clip.histogram, text), element('figcaption', text));
    return figure;
  }));
}

function askDrawing() {
  canvas.toBlob(image => ask(image, 'image/png'), 'image/png');
}

function clear() {
  asked++; // what is still on its way is of what was there
  pen.fillStyle = '#000';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  $('classes').replaceChildren();
  $('clips').replaceChildren();
  $('file').value = '';
  say('');
}

function stroke(from, to) {
  pen.lineCap = 'round';
  pen.lineWidth = $('brush').value * canvas.width / 28;
  pen.strokeStyle = $('color').value;
  pen.beginPath();
  pen.moveTo(from.x, from.y);
  pen.lineTo(to.x, to.y);
  pen.stroke();
}

function drawWithPointer() {
  let last = null;
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return {
      x: (event.clientX - box.left) * canvas.width / box.width,
      y: (event.clientY - box.top) * canvas.height / box.height,
    };
  };
  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(last, last);
  });
  canvas.addEventListener('pointermove', event => {
    if (last) {
      const to = place(event);
      stroke(last, to);
      last = to;
    }
  });
  ['pointerup', 'pointercancel'].forEach(name => canvas.addEventListener(name, () => {
    if (last) {
      last = null;
      askDrawing();
    }
  }));
}

function drawWithKeys() {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const at = { x: canvas.width / 2, y: canvas.height / 2 };
  let isDown = false;
  canvas.addEventListener('keydown', event => {
    const step = steps[event.key];
    if (step) {
      const from = { ...at };
      at.x = Math.min(canvas.width, Math.max(0, at.x + step[0] * canvas.width / 28));
      at.y = Math.min(canvas.height, Math.max(0, at.y + step[1] * canvas.height / 28));
      if (isDown) {
        stroke(from, at);
      }
    } else if (event.key === ' ') {
      isDown = !isDown;
      if (isDown) {
        stroke(at, at);
      } else {
        askDrawing();
      }
    } else {
      return;
    }
    event.preventDefault();
  });
}

// Shown as the network gets it, or nearly so where the service resizes it.
async function askFile(file) {
  try {
    const image = await createImageBitmap(file);
    const side = Math.min(image.width, image.height);
    pen.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
    if (!resizes) {
      askDrawing();
      return;
    }
  } catch {
    // The browser cannot show it: the service says whether it can.
  }
  ask(file, file.type.startsWith('image/') ? file.type : 'image/x-unknown');
}

function takeFiles() {
  const area = $('drop');
  const over = is => event => {
    event.preventDefault();
    area.classList.toggle('over', is);
  };
  area.addEventListener('dragover', over(true));
  area.addEventListener('dragleave', over(false));
  area.addEventListener('drop', event => {
    over(false)(event);
    if (event.dataTransfer.files.length > 0) {
      askFile(event.dataTransfer.files[0]);
    }
  });
  $('file').addEventListener('change', () => {
    if ($('file').files.length > 0) {
      askFile($('file').files[0]);
    }
  });
}

async function start() {
  let model;
  try {
    model = await fetchJson('model');
  } catch (e) {
    say(e.message + ' Load the page again in a while.');
    return;
  }
  if (!model.images) {
    say('This network takes values and no images: see POST /predict.');
    return;
  }
  canvas.height = model.shape[1] - 2 * model.padding;
  canvas.width = model.shape[2] - 2 * model.padding;
  resizes = model.resize > 0;
  $('coloured').hidden = model.grey;
  $('what').textContent += ' It knows: ' + (model.classes.join(', ') || 'classes without names') + '.';
  clear();
  $('clear').addEventListener('click', clear);
  drawWithPointer();
  drawWithKeys();
  takeFiles();
}

start();
