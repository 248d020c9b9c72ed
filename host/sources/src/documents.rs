//! From the text of a file to its documents, one at a time: YAML between lines of `---`, and JSON objects one after
//! another, as the API's own tools take them.
//!
//! A document is a piece of the file's text and the line on which it begins, so that the positions in a parser's messages
//! can be counted from the start of the file without giving the parser the file.

use serde::de::IgnoredAny;

/// Bytes of the largest document: 8 MiB. What a parser needs for one is a multiple of this.
pub const MAX_DOCUMENT_BYTES: usize = 8 << 20;

/// Documents of a file.
pub const MAX_DOCUMENTS: usize = 100_000;

/// A byte order mark: two files put one after the other have one in the middle.
const MARK: char = '\u{feff}';

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// YAML, which most JSON is as well.
    Yaml,
    /// JSON, which has escapes that YAML has not.
    Json,
}

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Document<'a> {
    /// Its text.
    pub(crate) text: &'a str,
    /// The line of the file on which the text begins, from 1.
    pub(crate) line: usize,
    /// How it is written.
    pub(crate) format: Format,
}

/// The documents of a text, but for those of nothing but blanks and comments.
pub(crate) fn split(text: &str) -> Documents<'_> {
    Documents { rest: Some(text), line: 1, objects: None }
}

/// Iterates over documents.
pub(crate) struct Documents<'a> {
    /// What stands behind the last separator.
    rest: Option<&'a str>,
    /// Its line.
    line: usize,
    /// What is left of a part made of JSON objects.
    objects: Option<Document<'a>>,
}

impl<'a> Iterator for Documents<'a> {
    type Item = Document<'a>;

    fn next(&mut self) -> Option<Document<'a>> {
        loop {
            let part = match self.objects.take() {
                Some(objects) => objects,
                None => self.part()?,
            };
            let Some(part) = without_blanks(part) else { continue };
            if !part.text.starts_with('{') {
                return Some(part);
            }
            // YAML knows braces too: what is no JSON from its first object on is left to the YAML parser to judge.
            let Some(length) = json_object(part.text) else { return Some(part) };
            let (object, rest) = part.text.split_at(length);
            let line = part.line + newlines(object);
            self.objects = Some(Document { text: rest, line, format: Format::Json });
            return Some(Document { text: object, line: part.line, format: Format::Json });
        }
    }
}

impl<'a> Documents<'a> {
    /// The text up to the next separator. A separator's own line belongs to what follows: `--- {a: 1}` is a document.
    fn part(&mut self) -> Option<Document<'a>> {
        let text = self.rest.take()?;
        let line = self.line;
        let mut at = 0;
        for (number, full) in text.split_inclusive('\n').enumerate() {
            if let Some(rest) = separated(full) {
                self.rest = Some(&text[at + full.len() - rest.len()..]);
                self.line = line + number;
                return Some(Document { text: &text[..at], line, format: Format::Yaml });
            }
            at += full.len();
        }
        Some(Document { text, line, format: Format::Yaml })
    }
}

/// What stands behind `---` on a line that is a separator.
fn separated(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(MARK).strip_prefix("---")?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

/// A document from its first line on that says something; none if there is none. The line keeps its indentation, which
/// means something.
fn without_blanks(document: Document<'_>) -> Option<Document<'_>> {
    let Document { mut text, mut line, format } = document;
    loop {
        text = text.trim_start_matches(MARK);
        let first = text.split_inclusive('\n').next()?;
        let content = first.trim();
        if !content.is_empty() && !content.starts_with('#') {
            break;
        }
        text = &text[first.len()..];
        line += newlines(first);
    }
    // Braces do not care for indentation.
    let braces = text.trim_start();
    let text = if braces.starts_with('{') { braces } else { text };
    Some(Document { text, line, format })
}

/// The length of the JSON object at the start of a text.
fn json_object(text: &str) -> Option<usize> {
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    objects.next()?.ok()?;
    Some(objects.byte_offset())
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, &str)> {
        split(text).map(|document| (document.line, document.text)).collect()
    }

    #[test]
    fn separators_are_lines() {
        assert_eq!(found(""), []);
        assert_eq!(found("a: 1\n"), [(1, "a: 1\n")]);
        assert_eq!(found("---\n# no\n\na: 1\n---\r\nb: 1"), [(4, "a: 1\n"), (6, "b: 1")]);
        assert_eq!(found("a: 1\n--- # why\n---\n--- b\n"), [(1, "a: 1\n"), (4, " b\n")]);
        assert_eq!(found("a: |\n  ---\n  x\n---x: 1\n"), [(1, "a: |\n  ---\n  x\n---x: 1\n")]);
    }

    #[test]
    fn byte_order_marks_are_no_content() {
        let text = "\u{feff}---\n\u{feff}a: 1\n\u{feff}---\nb: 1\n";
        assert_eq!(found(text), [(2, "a: 1\n"), (4, "b: 1\n")]);
    }

    #[test]
    fn json_objects_follow_one_another() {
        let text = "{\"a\": 1}{\"b\":\n2}\n\n{\"c\": 3} # so\n---\n  {\"d\": 4}\n--- {\"e\": 5}\n";
        let objects = [
            (1, "{\"a\": 1}"),
            (1, "{\"b\":\n2}"),
            (4, "{\"c\": 3}"),
            (6, "{\"d\": 4}"),
            (7, "{\"e\": 5}"),
        ];
        assert_eq!(found(text), objects);
        assert!(split(text).all(|document| document.format == Format::Json));
        let yaml: Vec<_> = split("{a: 1,\n b: 2}\n").collect();
        assert_eq!((yaml.len(), yaml[0].format), (1, Format::Yaml));
        // What follows is left to the parser to refuse.
        assert_eq!(found("{}\n,{}")[1], (2, ",{}"));
    }
}
