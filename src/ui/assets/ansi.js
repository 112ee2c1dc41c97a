// Colour sequences in the output of programs, by the same rules as components/ansi.rs. The
// output is hostile: it becomes texts and class names, never markup.

// A style is a number: colours + 1 in five bits each, flags above.
const SEQUENCE = /\x1b(?:\[([\x20-\x3f]*)([\x40-\x7e])?|[\]PX^_][^\x07\x1b\x9c\r]*(?:\x07|\x9c|\x1b\\)?|[\x20-\x2f]+[\x30-\x7e]?|[\x30-\x7e])?/g;
const MAX_RUNS = 500; // changes of style in a line
const UNUSUAL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const ALL_UNUSUAL = new RegExp(UNUSUAL.source, "g");
const FLAGS = { 1: 1 << 10, 2: 1 << 11, 3: 1 << 12, 4: 1 << 13, 21: 1 << 13, 7: 1 << 14 };
const RESETS = { 0: -1, 22: 3 << 10, 23: 1 << 12, 24: 1 << 13, 27: 1 << 14, 39: 31, 49: 31 << 5 };
const DETAILED = { 38: 38, 48: 48, 4: 4 }; // codes with details after colons
const NAMES = { 1: "a-bold", 2: "a-dim", 3: "a-italic", 4: "a-under" };
const PALETTE = [
  [0, 0, 0], [205, 0, 0], [0, 205, 0], [205, 205, 0], [0, 0, 238], [205, 0, 205], [0, 205, 205], [229, 229, 229],
  [127, 127, 127], [255, 0, 0], [0, 255, 0], [255, 255, 0], [92, 92, 255], [255, 0, 255], [0, 255, 255], [255, 255, 255],
];

const number = (text) => (text ? Math.min(Number.parseInt(text, 10), 255) : 0);
const colored = (style, color, shift) => (style & ~(31 << shift)) | ((color + 1) << shift);

function nearest(wanted) {
  const distance = (color) => color.reduce((sum, part, at) => sum + (part - wanted[at]) ** 2, 0);
  const distances = PALETTE.map(distance);
  return distances.indexOf(Math.min(...distances));
}

function indexed(index) {
  if (index < 16) return index;
  if (index > 231) return nearest(Array(3).fill(8 + 10 * (index - 232)));
  const level = (step) => (step ? 55 + 40 * step : 0);
  return nearest([36, 6, 1].map((size) => level(Math.floor((index - 16) / size) % 6)));
}

/** Colour of a sequence, or null. */
function extended(kind, values) {
  if (kind === "5" && values.length === 1) return indexed(number(values[0]));
  return kind === "2" && values.length === 3 ? nearest(values.map(number)) : null;
}

function styled(style, parameters) {
  if (!/^[\d;:]*$/.test(parameters)) return style;
  const fields = parameters.split(";");
  while (fields.length) {
    const [first, kind, ...values] = fields.shift().split(":");
    const code = kind === undefined ? number(first) : (DETAILED[first] ?? -1);
    if (code === 38 || code === 48) {
      // `38;5;INDEX`, `38;2;RED;GREEN;BLUE`, or all in one field, where a colour space may precede.
      const size = { 5: 1, 2: 3 }[kind ?? fields[0]] ?? 0;
      const color = kind === undefined ? extended(fields.shift(), fields.splice(0, size))
        : extended(kind, kind === "2" ? values.slice(-3) : values.slice(0, 1));
      if (color !== null) style = colored(style, color, code === 38 ? 0 : 5);
    } else if (kind !== undefined) {
      if (code === 4) style = number(kind) ? style | FLAGS[4] : style & ~FLAGS[4];
    } else if (FLAGS[code]) style |= FLAGS[code];
    else if (RESETS[code]) style &= ~RESETS[code];
    else if (code >= 30 && code < 50) style = colored(style, code % 10, code < 40 ? 0 : 5);
    else if (code >= 90 && code < 108 && code % 10 < 8) style = colored(style, (code % 10) + 8, code < 100 ? 0 : 5);
  }
  return style;
}

/** Classes of a style. Text on a background has the colour that is legible on it. */
export function classes(style) {
  const names = Object.keys(NAMES).filter((flag) => style & FLAGS[flag]).map((flag) => NAMES[flag]);
  const [fore, back, isInverse] = [style & 31, (style >> 5) & 31, style & FLAGS[7]];
  const below = isInverse ? fore : back;
  if (below) names.push(`bg-${below - 1}`);
  else if (isInverse) names.push("a-inverse");
  else if (fore) names.push(`fg-${fore - 1}`);
  return names.join(" ");
}

function visible(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return code === 0x2028 || code === 0x2029 ? "\u2424" : "\ufffd";
}

/** True if a line contains more than plain text. */
export const isUnusual = (text) => UNUSUAL.test(text);

/** Position of the last carriage return before more text, or -1: the text before it is overwritten. */
export const overwritten = (text) => (text.includes("\r") ? withoutEnd(text).lastIndexOf("\r") : -1);

function withoutEnd(text) {
  let end = text.length;
  while (end > 0 && text[end - 1] === "\r") end--;
  return text.slice(0, end);
}

/** Splits a line into runs of [text, style], and returns the style after it. */
export function read(text, style) {
  if (!UNUSUAL.test(text)) return { runs: text ? [[text, style]] : [], style };
  const runs = [];
  const push = (part) => {
    const back = part.lastIndexOf("\r");
    if (back >= 0) runs.length = 0; // the following text overwrites it
    const shown = part.slice(back + 1).replace(ALL_UNUSUAL, visible);
    const last = runs.at(-1);
    if (last && (last[1] === style || runs.length >= MAX_RUNS)) last[0] += shown;
    else if (shown) runs.push([shown, style]);
  };
  const whole = withoutEnd(text);
  let from = 0;
  for (const found of whole.matchAll(SEQUENCE)) {
    push(whole.slice(from, found.index));
    if (found[2] === "m") style = styled(style, found[1]);
    from = found.index + found[0].length;
  }
  push(whole.slice(from));
  return { runs, style };
}
