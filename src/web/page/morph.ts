/// <reference lib="dom" />

/** Set on elements that scripts fill: what the server has for them is left alone. */
const FILLED_BY_SCRIPT = 'data-filled-by-script';

/**
 * Changes an element into another one, and keeps the nodes that are the same: focus, selection and open details stay.
 * Children with a data-key are matched by it.
 */
export function morph(element: Element, wanted: Element): void {
  for (const { name, value } of wanted.attributes)
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  for (const { name } of [...element.attributes])
    if (!wanted.hasAttribute(name) && name !== 'open') element.removeAttribute(name);
  if (element.hasAttribute(FILLED_BY_SCRIPT)) return;
  const byKey = new Map<string, Element>();
  for (const child of element.children) if (keyOf(child) !== undefined) byKey.set(keyOf(child) ?? '', child);
  let next = element.firstChild;
  for (const child of [...wanted.childNodes]) {
    const key = keyOf(child);
    const same = key === undefined ? next : byKey.get(key);
    if (same == null || !isLike(same, child)) {
      element.insertBefore(document.adoptNode(child), next);
      continue;
    }
    if (same === next) next = next.nextSibling;
    else element.insertBefore(same, next);
    if (same instanceof Element && child instanceof Element) morph(same, child);
    else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
  }
  while (next !== null) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

function isLike(a: Node, b: Node): boolean {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
}

function keyOf(node: Node): string | undefined {
  return node instanceof HTMLElement ? node.dataset.key : undefined;
}
