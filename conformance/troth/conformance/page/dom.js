// Making elements. Text only ever becomes text: nothing here, or anywhere else in this page,
// reads a string as markup.
(function (troth) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children) {
      if (child === null || child === undefined) continue;
      node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return node;
  }

  // element("button", {class: "x", click: handler}, "text", another)
  troth.element = function (name, attributes, ...children) {
    return fill(document.createElement(name), attributes, children);
  };

  troth.svg = function (name, attributes, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
  };

  troth.byId = function (id) {
    return document.getElementById(id);
  };

  const FOCUSABLE = "button, summary, select, input, [tabindex]";

  // Puts other children into a node. Who was at a button in there stays at the one in its place.
  troth.replace = function (node, ...children) {
    const place = node.contains(document.activeElement)
      ? [...node.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement)
      : -1;
    node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
    if (place < 0) return;
    const found = node.querySelectorAll(FOCUSABLE);
    if (found.length > 0) found[Math.min(place, found.length - 1)].focus({ preventScroll: true });
  };

  troth.count = function (number, noun) {
    return number.toLocaleString("en") + " " + noun + (number === 1 ? "" : "s");
  };

  troth.number = function (value) {
    return value.toLocaleString("en");
  };
})((window.troth = window.troth || {}));
