//! HTML and SVG as nested calls: what is opened is closed, and no text and no attribute gets out of its place. Pure.
//!
//! Must never take text that is not a constant any other way than through [`escaped`].

use std::fmt::{Display, Write};

use crate::view::text::printable;

/// A document under way, which is well-formed XML too.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// Names and values of attributes.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// An element with what `inner` writes into it.
    pub(super) fn tag(&mut self, name: &'static str, attributes: Attributes<'_>, inner: impl FnOnce(&mut Self)) {
        self.open(name, attributes, ">");
        inner(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push_str(">\n");
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: impl Display) {
        self.tag(name, attributes, |inner| inner.text(text));
    }

    /// An element without content.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.open(name, attributes, " />\n");
    }

    pub(super) fn text(&mut self, text: impl Display) {
        self.0.push_str(&escaped(&text.to_string()));
    }

    /// The style sheet, which is a part of this program.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.0.push_str("<style>\n");
        self.0.push_str(sheet);
        self.0.push_str("</style>\n");
    }

    /// The whole document.
    pub(super) fn into_document(self) -> String {
        format!("<!DOCTYPE html>\n{}", self.0)
    }

    fn open(&mut self, name: &'static str, attributes: Attributes<'_>, end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            // Writing into memory cannot fail.
            let _ = write!(self.0, " {name}=\"{}\"", escaped(&value.to_string()));
        }
        self.0.push_str(end);
    }
}

/// `text` without what HTML, XML or the eye would act on.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No part of XML.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_stay_in_their_places() {
        let mut page = Markup::default();
        let hostile = "</p><script>alert('x')</script>\" onload=\"y\u{202e}\u{1}\u{ffff}&amp;";
        page.tag("p", &[("title", &hostile)], |p| p.leaf("b", &[], hostile));
        let text = page.into_document();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(&text, options).unwrap();
        let (outer, inner) = (document.root_element(), document.root_element().first_element_child().unwrap());
        let shown = "</p><script>alert('x')</script>\" onload=\"y\\u{202e}\\u{1}\u{fffd}&amp;";
        assert_eq!((outer.attribute("title"), inner.text()), (Some(shown), Some(shown)));
        assert_eq!(document.descendants().filter(roxmltree::Node::is_element).count(), 2, "{text}");
    }
}
