// What stands against a reader of the page that is open: one line each, none where nothing does.
() => {
  const wrong = [];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest("[inert], dialog:not([open])");
  const all = (what) => [...document.querySelectorAll(what)].filter(shown);
  const short = (e) => e.outerHTML.replace(/\s+/g, " ").slice(0, 140);
  const told = (ids) => (ids || "").split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();
  const name = (e) =>
    e.getAttribute("aria-label") || told(e.getAttribute("aria-labelledby")) ||
    [...(e.labels || [])].map((l) => l.textContent).join("").trim() || e.textContent.trim() ||
    [...e.querySelectorAll("img[alt], svg[aria-label], svg > title")].map((i) => i.alt || i.getAttribute("aria-label") || i.textContent).join("") ||
    e.getAttribute("title") || "";
  const fieldName = (e) => e.getAttribute("aria-label") || told(e.getAttribute("aria-labelledby")) || [...(e.labels || [])].map((l) => l.textContent).join("").trim();
  if (!document.documentElement.lang) wrong.push("no lang");
  if (!document.title.replace(/^[\s·]+/, "")) wrong.push("no title");
  const h1 = all("h1");
  if (h1.length !== 1) wrong.push(`${h1.length} h1`);
  let level = 0;
  for (const e of all("h1, h2, h3, h4, h5, h6")) {
    const now = Number(e.tagName[1]);
    if (level && now > level + 1) wrong.push(`h${level} then ${short(e)}`);
    level = now;
  }
  for (const e of all("input:not([type=hidden]), select, textarea")) if (!fieldName(e)) wrong.push(`no label: ${short(e)}`);
  for (const e of all("button, a[href], summary, [role=button]")) if (!name(e)) wrong.push(`no name: ${short(e)}`);
  for (const e of all("img")) if (!e.hasAttribute("alt")) wrong.push(`no alt: ${short(e)}`);
  for (const e of all("svg, canvas")) if (!e.closest("[aria-hidden=true]") && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby") && !e.querySelector("title") && !e.closest("figure, a, button, [role=img]")) wrong.push(`no words for a drawing: ${short(e)}`);
  for (const e of all("table")) if (!e.querySelector("th")) wrong.push(`no table head: ${short(e)}`);
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) wrong.push(`own tab order: ${short(e)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) wrong.push(`id twice: ${id}`);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], [aria-controls]")) {
    for (const id of `${e.getAttribute("aria-labelledby") || ""} ${e.getAttribute("aria-describedby") || ""}`.trim().split(/\s+/)) if (id && !document.getElementById(id)) wrong.push(`nobody is called ${id}: ${short(e)}`);
  }
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const ground = (e) => {
    for (let each = e; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.backgroundImage !== "none") return null;
      const [r, g, b, a = 1] = parts(style.backgroundColor);
      if (a === 1) return [r, g, b];
      if (a > 0) return null;
    }
    return [255, 255, 255];
  };
  for (const e of all("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.closest("svg, :disabled, [aria-disabled=true]")) continue;
    const style = getComputedStyle(e);
    const under = ground(e);
    const [r, g, b, a = 1] = parts(style.color);
    if (!under || a < 1 || style.color.startsWith("color")) continue;
    const [one, two] = [light([r, g, b]), light(under)].sort((x, y) => y - x);
    const contrast = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) wrong.push(`contrast ${contrast.toFixed(2)}: ${short(e)}`);
  }
  return wrong;
}
