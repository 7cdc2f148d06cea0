"""What is wrong with the layout of a page, found by scripts in the browser."""

UNFOLD = "document.querySelectorAll('main details').forEach(one => { one.open = true; })"
BEYOND = """(() => {
  const {clientWidth} = document.documentElement;
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    const isShown = texts.currentNode.data.trim() && e.checkVisibility({visibilityProperty: true});
    if (!isShown || e.closest('.wide, pre, .unseen, select, .skip, .swagger-ui')) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const edge = e.closest('nav')?.getBoundingClientRect().right ?? clientWidth;
    if (range.getBoundingClientRect().right > edge + 1) found.push(e.outerHTML.slice(0, 90));
  }
  for (const e of document.querySelectorAll('main button:not(.unseen, .swagger-ui *)'))
    if (e.scrollWidth > e.clientWidth + 1) found.push(e.outerHTML.slice(0, 90));
  return found;
})()"""
"""The elements whose text ends beyond the right edge of the screen, and cannot be scrolled to, and
buttons with more text than room."""
BROKEN = """(() => {
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const e = node.parentElement;
    const isShown = e.checkVisibility({visibilityProperty: true});
    if (!isShown || e.closest('pre, svg, .unseen, select, .swagger-ui')) continue;
    for (const word of node.data.matchAll(/(?<![^\\s(])\\p{L}{2,24}(?![^\\s.,:;)])/gu)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const parts = [...range.getClientRects()].filter(b => b.width > 0);
      if (new Set(parts.map(b => Math.round(b.top))).size > 1)
        found.push(word[0] + ' in ' + e.outerHTML.slice(0, 90));
    }
  }
  return found;
})()"""
"""The words that are broken because their column is too narrow."""
CUT = """[...document.querySelectorAll('main *, nav *')].filter(e => {
  const {overflow, textOverflow} = getComputedStyle(e);
  return e.checkVisibility({visibilityProperty: true})
    && !e.closest('.unseen, svg, .swagger-ui, [title]')
    && (overflow.includes('hidden') || overflow.includes('clip') || textOverflow == 'ellipsis')
    && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)
    && e.textContent.trim() && e.clientWidth > 0;
}).map(e => 'cut: ' + e.outerHTML.slice(0, 90))"""
"""The elements that hide a part of their text, but for those that show it when pointed at."""
