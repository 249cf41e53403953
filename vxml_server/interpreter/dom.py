"""XML as a script sees it: the read-only part of DOM level 2 Core (VoiceXML 2.1 section 5).

The tree crosses into ECMAScript as compact JSON, and nodes are made there when somebody looks at
them, each once, so that a large document costs what is read of it. What must hold: nothing that a
script does changes the tree; what DOM defines as a change throws a DOMException with the code
NO_MODIFICATION_ALLOWED_ERR. `textContent` (level 3) is there because everybody uses it; as text a
node is its XML, which is how section 5 has it submitted.
"""

from __future__ import annotations

from lxml import etree

from vxml_server.ecmascript import Engine, Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.platform import Json
from vxml_server.markup import xml_parser

XMLNS = "http://www.w3.org/2000/xmlns/"

# A node as JSON: a text is itself; others are lists that begin with their nodeType.
#   [1, nodeName, namespaceURI, [[nodeName, namespaceURI, value], ...], [child, ...]]
#   [7, target, data]   [8, data]   [9, [child, ...]]


def parse_xml(body: bytes, uri: str) -> etree._ElementTree:
    """The document in `body`; raises `error.badfetch`. Entities are not expanded."""
    parser = xml_parser()
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        message = f"not well-formed: {error.msg}"
        raise VoiceXmlEvent("error.badfetch", message, uri=uri, line=error.lineno or 0) from None
    except ValueError as error:
        raise VoiceXmlEvent("error.badfetch", f"not XML: {error}", uri=uri) from None
    return root.getroottree()


def outside_root(tree: etree._ElementTree) -> tuple[list[etree._Element], list[etree._Element]]:
    """The comments and processing instructions before and after the root element."""
    root = tree.getroot()
    before = list(root.itersiblings(preceding=True))
    return before[::-1], list(root.itersiblings())


def expose(tree: etree._ElementTree, engine: Engine) -> Object:
    """The `Document` object of a tree, in the engine of the session."""
    before, after = outside_root(tree)
    children: list[Json] = [*map(_node, before), _node(tree.getroot()), *map(_node, after)]
    make = engine.function(_SOURCE)
    document: Object = engine.call(make, engine.from_json([9, children]))
    return document


def _node(node: etree._Element) -> Json:
    if isinstance(node, etree._ProcessingInstruction):
        return [7, node.target or "", node.text or ""]
    if isinstance(node, etree._Comment):
        return [8, node.text or ""]
    if isinstance(node, etree._Entity):
        return node.text
    inherited = {} if (parent := node.getparent()) is None else parent.nsmap
    attributes: list[Json] = [
        [f"xmlns:{prefix}" if prefix else "xmlns", XMLNS, namespace]
        for prefix, namespace in node.nsmap.items()
        if inherited.get(prefix) != namespace
    ]
    for key, value in node.attrib.items():
        name = etree.QName(str(key))
        prefix = _prefix(node, name.namespace)
        attributes.append([prefix + name.localname, name.namespace, str(value)])
    children: list[Json] = [node.text] if node.text else []
    for child in node:
        made = _node(child)
        if isinstance(made, str) and children and isinstance(children[-1], str):
            children[-1] += made
        else:
            children.append(made)
        if child.tail:
            if isinstance(children[-1], str):
                children[-1] += child.tail
            else:
                children.append(child.tail)
    name = etree.QName(node)
    prefix = f"{node.prefix}:" if node.prefix else ""
    return [1, prefix + name.localname, name.namespace, attributes, children]


def _prefix(node: etree._Element, namespace: str | None) -> str:
    """The prefix, with its colon, of an attribute in a namespace."""
    if namespace is None:
        return ""
    if namespace == "http://www.w3.org/XML/1998/namespace":
        return "xml:"
    return next(
        (f"{prefix}:" for prefix, uri in node.nsmap.items() if uri == namespace and prefix), ""
    )


_SOURCE = r"""
(() => {
'use strict';
const { freeze, defineProperty, entries, getOwnPropertyDescriptor } = Object;
const ELEMENT = 1, ATTRIBUTE = 2, TEXT = 3, COMMENT = 8, DOCUMENT = 9;

function constants(target, values) {
  for (const [name, value] of entries(values))
    for (const holder of [target, target.prototype])
      defineProperty(holder, name, { value, enumerable: true });
}

class DOMException extends Error {
  constructor(name) {
    super(name);
    defineProperty(this, 'name', { value: 'DOMException' });
    defineProperty(this, 'code', { value: DOMException[name], enumerable: true });
  }
}
constants(DOMException, {
  INDEX_SIZE_ERR: 1, DOMSTRING_SIZE_ERR: 2, HIERARCHY_REQUEST_ERR: 3, WRONG_DOCUMENT_ERR: 4,
  INVALID_CHARACTER_ERR: 5, NO_DATA_ALLOWED_ERR: 6, NO_MODIFICATION_ALLOWED_ERR: 7,
  NOT_FOUND_ERR: 8, NOT_SUPPORTED_ERR: 9, INUSE_ATTRIBUTE_ERR: 10, INVALID_STATE_ERR: 11,
  SYNTAX_ERR: 12, INVALID_MODIFICATION_ERR: 13, NAMESPACE_ERR: 14, INVALID_ACCESS_ERR: 15,
});
const readOnly = () => { throw new DOMException('NO_MODIFICATION_ALLOWED_ERR'); };
const notThere = () => { throw new DOMException('NOT_SUPPORTED_ERR'); };
function refuse(target, methods, properties = '') {
  for (const name of methods.split(' '))
    defineProperty(target.prototype, name, { value: readOnly, configurable: true });
  for (const name of properties.split(' ').filter(Boolean)) {
    const found = getOwnPropertyDescriptor(target.prototype, name);
    defineProperty(target.prototype, name, { get: found.get, set: readOnly });
  }
}
const nullable = value => value === undefined ? null : value;

class NodeList {
  constructor(nodes) {
    nodes.forEach((node, i) => defineProperty(this, i, { value: node, enumerable: true }));
    defineProperty(this, 'length', { value: nodes.length });
    freeze(this);
  }
  item(i) { return nullable(this[i >>> 0]); }
  *[Symbol.iterator]() { for (let i = 0; i < this.length; i++) yield this[i]; }
}

class NamedNodeMap extends NodeList {
  getNamedItem(name) { return nullable([...this].find(a => a.nodeName === String(name))); }
  getNamedItemNS(uri, name) {
    return nullable([...this].find(
      a => a.namespaceURI === (uri || null) && a.localName === String(name)));
  }
}
refuse(NamedNodeMap, 'setNamedItem removeNamedItem setNamedItemNS removeNamedItemNS');

class Node {
  #raw; #parent; #index; #document; #children = null;
  constructor(raw, document, parent, index) {
    this.#raw = raw; this.#document = document; this.#parent = parent; this.#index = index;
  }
  static raw(node) { return node.#raw; }
  get nodeType() { return typeof this.#raw === 'string' ? TEXT : this.#raw[0]; }
  get nodeName() { return '#text'; }
  get nodeValue() { return null; }
  get parentNode() { return this.#parent; }
  get ownerDocument() { return this.#document; }
  get namespaceURI() { return null; }
  get prefix() { return null; }
  get localName() { return null; }
  get attributes() { return null; }
  get childNodes() {
    if (this.#children === null) {
      const raws = childrenOf(this.#raw), owner = this.#document || this;
      this.#children = new NodeList(raws.map((raw, i) => wrap(raw, owner, this, i)));
    }
    return this.#children;
  }
  get firstChild() { return nullable(this.childNodes[0]); }
  get lastChild() { return nullable(this.childNodes[this.childNodes.length - 1]); }
  get previousSibling() {
    return this.#parent ? nullable(this.#parent.childNodes[this.#index - 1]) : null;
  }
  get nextSibling() {
    return this.#parent ? nullable(this.#parent.childNodes[this.#index + 1]) : null;
  }
  get textContent() {
    const type = this.nodeType;
    if (type === DOCUMENT) return null;
    return type === ELEMENT ? textOf(this.#raw) : this.nodeValue;
  }
  hasChildNodes() { return childrenOf(this.#raw).length > 0; }
  hasAttributes() { return false; }
  isSupported(feature, version) { return hasFeature(feature, version); }
  cloneNode(deep) {
    let raw = this.#raw;
    if (!deep && typeof raw !== 'string' && (raw[0] === ELEMENT || raw[0] === DOCUMENT)) {
      raw = raw.slice(); raw[raw.length - 1] = [];
    }
    return wrap(raw, this.#document, null, -1);
  }
  normalize() {}
  toString() { return xmlOf(this.#raw); }
  toJSON() { return xmlOf(this.#raw); }
}
constants(Node, {
  ELEMENT_NODE: 1, ATTRIBUTE_NODE: 2, TEXT_NODE: 3, CDATA_SECTION_NODE: 4,
  ENTITY_REFERENCE_NODE: 5, ENTITY_NODE: 6, PROCESSING_INSTRUCTION_NODE: 7, COMMENT_NODE: 8,
  DOCUMENT_NODE: 9, DOCUMENT_TYPE_NODE: 10, DOCUMENT_FRAGMENT_NODE: 11, NOTATION_NODE: 12,
});
refuse(Node, 'insertBefore replaceChild removeChild appendChild', 'nodeValue prefix textContent');

function childrenOf(raw) {
  if (typeof raw === 'string') return [];
  if (raw[0] === ELEMENT) return raw[4];
  if (raw[0] === DOCUMENT) return raw[1];
  return raw[0] === ATTRIBUTE && raw[3] !== '' ? [raw[3]] : [];
}
function textOf(raw) {
  if (typeof raw === 'string') return raw;
  return raw[0] === ELEMENT ? raw[4].map(textOf).join('') : '';
}
const escaped = text => text.replace(
  /[&<>"\t\n\r]/g, c => c in entities ? entities[c] : `&#${c.charCodeAt(0)};`);
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
function xmlOf(raw) {
  if (typeof raw === 'string') return raw.replace(/[&<>]/g, c => entities[c]);
  switch (raw[0]) {
    case ELEMENT: {
      const attributes = raw[3].map(([name, , value]) => ` ${name}="${escaped(value)}"`);
      const start = raw[1] + attributes.join(''), content = raw[4].map(xmlOf).join('');
      return content ? `<${start}>${content}</${raw[1]}>` : `<${start}/>`;
    }
    case ATTRIBUTE: return raw[3];
    case DOCUMENT: return raw[1].map(xmlOf).join('');
    case COMMENT: return `<!--${raw[1]}-->`;
    default: return `<?${raw[1]} ${raw[2]}?>`;
  }
}
function hasFeature(feature, version) {
  const asked = String(feature).toLowerCase();
  return (asked === 'core' || asked === 'xml') &&
    (version === undefined || version === null || ['', '1.0', '2.0'].includes(String(version)));
}
function descendants(node, wanted, found = []) {
  for (const child of node.childNodes)
    if (child.nodeType === ELEMENT) {
      if (wanted(child)) found.push(child);
      descendants(child, wanted, found);
    }
  return found;
}
const byName = name => name === '*' ? () => true : element => element.nodeName === name;
const byNameNS = (uri, name) => element =>
  (uri === '*' || element.namespaceURI === (uri || null)) &&
  (name === '*' || element.localName === name);
const searching = Base => class extends Base {
  getElementsByTagName(name) { return new NodeList(descendants(this, byName(String(name)))); }
  getElementsByTagNameNS(uri, name) {
    return new NodeList(descendants(this, byNameNS(uri, String(name))));
  }
};
const named = Base => class extends Base {
  get nodeName() { return Node.raw(this)[1]; }
  get namespaceURI() { return Node.raw(this)[2]; }
  get prefix() {
    const name = this.nodeName, colon = name.indexOf(':');
    return colon < 0 ? null : name.slice(0, colon);
  }
  set prefix(value) { readOnly(); }
  get localName() { const name = this.nodeName; return name.slice(name.indexOf(':') + 1); }
};

class Attr extends named(Node) {
  #owner;
  constructor(raw, document, owner) { super(raw, document, null, -1); this.#owner = owner; }
  get name() { return this.nodeName; }
  get value() { return Node.raw(this)[3]; }
  get nodeValue() { return this.value; }
  get specified() { return true; }
  get ownerElement() { return this.#owner; }
}
refuse(Attr, 'appendChild', 'value nodeValue');

class Element extends searching(named(Node)) {
  #attributes = null;
  get tagName() { return this.nodeName; }
  get attributes() {
    if (this.#attributes === null)
      this.#attributes = new NamedNodeMap(Node.raw(this)[3].map(
        ([name, uri, value]) => freeze(
          new Attr([ATTRIBUTE, name, uri, value], this.ownerDocument, this))));
    return this.#attributes;
  }
  hasAttributes() { return Node.raw(this)[3].length > 0; }
  getAttributeNode(name) { return this.attributes.getNamedItem(name); }
  getAttributeNodeNS(uri, name) { return this.attributes.getNamedItemNS(uri, name); }
  getAttribute(name) { const found = this.getAttributeNode(name); return found ? found.value : ''; }
  getAttributeNS(uri, name) {
    const found = this.getAttributeNodeNS(uri, name); return found ? found.value : '';
  }
  hasAttribute(name) { return this.getAttributeNode(name) !== null; }
  hasAttributeNS(uri, name) { return this.getAttributeNodeNS(uri, name) !== null; }
}
refuse(Element, 'setAttribute removeAttribute setAttributeNode removeAttributeNode ' +
  'setAttributeNS removeAttributeNS setAttributeNodeNS');

class CharacterData extends Node {
  get data() { const raw = Node.raw(this); return typeof raw === 'string' ? raw : raw.at(-1); }
  get nodeValue() { return this.data; }
  get length() { return this.data.length; }
  substringData(offset, count) {
    if (offset < 0 || offset > this.length || count < 0) throw new DOMException('INDEX_SIZE_ERR');
    return this.data.slice(offset, offset + count);
  }
}
refuse(CharacterData, 'appendData insertData deleteData replaceData', 'data nodeValue');
class Text extends CharacterData {}
refuse(Text, 'splitText');
class Comment extends CharacterData { get nodeName() { return '#comment'; } }
class ProcessingInstruction extends Node {
  get nodeName() { return this.target; }
  get target() { return Node.raw(this)[1]; }
  get data() { return Node.raw(this)[2]; }
  get nodeValue() { return this.data; }
}
refuse(ProcessingInstruction, 'appendChild', 'data nodeValue');

const implementation = freeze(
  { hasFeature, createDocument: notThere, createDocumentType: notThere });
class Document extends searching(Node) {
  get nodeName() { return '#document'; }
  get doctype() { return null; }
  get implementation() { return implementation; }
  get documentElement() {
    return nullable([...this.childNodes].find(node => node.nodeType === ELEMENT));
  }
  getElementById(id) {
    const wanted = element => ['xml:id', 'id'].some(name => element.getAttribute(name) === `${id}`);
    return nullable(descendants(this, wanted)[0]);
  }
}
for (const name of ['createElement', 'createElementNS', 'createAttribute', 'createAttributeNS',
    'createTextNode', 'createComment', 'createCDATASection', 'createProcessingInstruction',
    'createEntityReference', 'createDocumentFragment', 'importNode'])
  defineProperty(Document.prototype, name, { value: notThere });

function wrap(raw, document, parent, index) {
  if (typeof raw === 'string') return freeze(new Text(raw, document, parent, index));
  const type = { 1: Element, 7: ProcessingInstruction, 8: Comment, 9: Document }[raw[0]];
  return freeze(new type(raw, document, parent, index));
}

const types = { Attr, CharacterData, Comment, DOMException, Document, Element, NamedNodeMap, Node,
  NodeList, ProcessingInstruction, Text };
for (const [name, type] of entries(types)) {
  freeze(type.prototype);
  if (!(name in globalThis)) defineProperty(globalThis, name, { value: freeze(type) });
}
return raw => wrap(raw, null, null, -1);
})()
"""
