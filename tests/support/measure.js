// What is wrong with the page that is shown, as a list of lines: contrast, names, room to tap, width.
() => {
  const wrong = [];
  const parse = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const called = (e) => `${e.tagName.toLowerCase()} "${(e.textContent || e.value || "").trim().slice(0, 40)}"`;
  const seen = (e) => { const box = e.getBoundingClientRect(); return box.width > 1 && box.height > 1 && box.right > 0; };
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !seen(e) || e.closest("title,style,option")) continue;
    const style = getComputedStyle(e);
    let back = behind(e);
    if (e.classList.contains("mark")) back = parse(getComputedStyle(e.previousElementSibling).fill);
    const ink = parse(e.closest("svg") ? style.fill : style.color);
    const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${called(e)}`);
    if (e.closest("svg")) {
      const size = parseFloat(style.fontSize) * e.closest("svg").getBoundingClientRect().width / e.closest("svg").viewBox.baseVal.width;
      if (size < 12) wrong.push(`text of ${size.toFixed(1)} px: ${called(e)}`);
    }
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")) {
    if (!seen(e) || e.classList.contains("skip")) continue;
    const name = e.getAttribute("aria-label") || (e.labels && [...e.labels].map((l) => l.textContent).join(" ")) || e.textContent;
    if (!name.trim()) wrong.push(`without a name: ${e.outerHTML.slice(0, 80)}`);
    const box = (e.labels && e.labels[0] && e.labels[0].contains(e) ? e.labels[0] : e).getBoundingClientRect();
    const inline = e.tagName === "A" && getComputedStyle(e).display === "inline" && !e.closest("nav");
    if (!inline && (box.height < 24 || box.width < 24)) wrong.push(`${box.width | 0}x${box.height | 0} to tap: ${called(e)}`);
  }
  const boxes = [...document.querySelectorAll("main > form, main > section, main > article, main > p")];
  boxes.slice(1).forEach((e, n) => {
    if (e.previousElementSibling !== boxes[n]) return;
    const gap = e.getBoundingClientRect().top - boxes[n].getBoundingClientRect().bottom;
    if (gap < 4) wrong.push(`${gap.toFixed(0)} px between ${called(boxes[n])} and ${called(e)}`);
  });
  const spots = [...document.querySelectorAll("svg text")].map((e) => [e, e.getBoundingClientRect()]);
  spots.forEach(([e, a], n) => spots.slice(n + 1).forEach(([f, b]) => {
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) wrong.push(`${called(e)} over ${called(f)}`);
  }));
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`wider than the screen: ${document.documentElement.scrollWidth}`);
  if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} headings of the first rank`);
  return wrong;
}
