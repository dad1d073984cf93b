//! Syntax errors in our own words: what the YAML parser found, as a sentence and what to do about
//! it.
//!
//! It refuses to pass on the parser's text.

use serde_yaml::granit_parser::ErrorKind;

/// What is wrong, and what to do.
pub(super) struct Reworded {
    pub(super) what: String,
    pub(super) hint: &'static str,
}

/// Rewords one of the parser's errors.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "`phrase` has the sentences without a part of the text in them"
)]
pub(super) fn reword(kind: &ErrorKind) -> Reworded {
    match kind {
        ErrorKind::UnexpectedCharacter { character } => unexpected(*character),
        ErrorKind::UnclosedFlowCollection { open } => Reworded {
            what: format!("this `{open}` is never closed"),
            hint: "close it on the same level",
        },
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => Reworded {
            what: format!("`{open}` is closed by `{close}`"),
            hint: "close it with its own bracket",
        },
        _ => {
            let (what, hint) = phrase(kind);
            Reworded {
                what: what.to_owned(),
                hint,
            }
        }
    }
}

fn unexpected(character: char) -> Reworded {
    if character.is_control() {
        let what = format!(
            "the file holds the control character U+{:04X}",
            u32::from(character)
        );
        return Reworded {
            what,
            hint: "remove it",
        };
    }
    let what = format!("text without quotes cannot hold `{character}` here");
    Reworded {
        what,
        hint: "put the text in quotes",
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser may learn of further errors; all get a sentence"
)]
fn phrase(kind: &ErrorKind) -> (&'static str, &'static str) {
    use ErrorKind as K;
    match kind {
        K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator => (
            "a `[` or `{` is not closed before this",
            "write a `,` between items, and close the bracket",
        ),
        K::MisplacedFlowCollectionEnd => (
            "this bracket closes nothing",
            "remove it, or open it before",
        ),
        K::UnclosedQuotedScalar | K::DocumentIndicatorInQuotedScalar => {
            ("this quote is never closed", "close it with the same quote")
        }
        K::InvalidTrailingSingleQuotedScalar => (
            "text goes on after the closing quote",
            "write `''` for a quote inside single quotes",
        ),
        K::InvalidTrailingDoubleQuotedScalar => (
            "text goes on after the closing quote",
            "write `\\\"` for a quote inside double quotes",
        ),
        K::UnknownQuotedScalarEscape
        | K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => (
            "this is no escape that double quotes know",
            "use single quotes, or write `\\\\` for a backslash",
        ),
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabAtBlockScalarStart
        | K::TabInPlainScalar => ("a tab stands where YAML wants spaces", "indent with spaces"),
        K::SimpleKeyExpected | K::InvalidSimpleKey => (
            "this line is neither `key: value` nor a list item",
            "write `key: value`, or `- item` with a space",
        ),
        K::ExpectedBlockMappingKey | K::ExpectedBlockSequenceEntry => (
            "this line does not continue what stands above it",
            "indent it like the keys or items it belongs to",
        ),
        K::InvalidIndentation
        | K::InvalidBlockScalarIndent
        | K::InvalidQuotedScalarIndent
        | K::InvalidFlowScalarIndent => (
            "this line is not indented like the text it belongs to",
            "indent it by as many spaces as the others",
        ),
        K::MappingValueNotAllowed
        | K::InvalidColonPlacement
        | K::InvalidMappingValueWhitespace
        | K::FlowMappingValueAdjacentCollection => (
            "a `:` is not expected here",
            "put text with `: ` in quotes, and check the indentation",
        ),
        K::MappingKeyNotAllowed => ("a key is not expected here", "check the indentation"),
        K::BlockEntryInFlowCollection
        | K::BlockSequenceEntryNotAllowed
        | K::InvalidBlockEntryWhitespace => (
            "a `- ` item is not expected here",
            "begin the list on its own line, one `- item` a line",
        ),
        K::ZeroBlockScalarIndent | K::InvalidBlockScalarHeader => (
            "text after `|` or `>` must begin on the next line",
            "move it to the next line, indented",
        ),
        K::CommentInterceptedScalar | K::CommentNotSeparated => (
            "a comment stands in the middle of a value",
            "put the comment on a line of its own",
        ),
        K::MissingAnchorOrAliasName => (
            "`&` and `*` without a name mean nothing",
            "put text that begins with `&` or `*` in quotes",
        ),
        K::RecursionLimitExceeded => (
            "lists and maps are nested too deeply",
            "a plan needs no more than a few levels",
        ),
        K::BomInsideDocument => (
            "a byte order mark stands in the middle of the file",
            "remove this invisible character",
        ),
        K::DirectiveDisallowed
        | K::DuplicateVersionDirective
        | K::UnsupportedYamlMajorVersion
        | K::DuplicateTagDirective
        | K::MissingDocumentEndBeforeDirective => {
            ("a plan has no `%` directives", "remove this line")
        }
        K::InvalidDocumentEnd => (
            "text follows the `...` that ends the file",
            "remove the `...`",
        ),
        K::ExpectedTagBang
        | K::UndeclaredTagHandle
        | K::InvalidGlobalTagCharacter
        | K::InvalidTagTerminator
        | K::MissingTagUri
        | K::UnclosedVerbatimTag
        | K::InvalidTagEscape
        | K::InvalidTagUtf8LeadingByte
        | K::InvalidTagUtf8TrailingByte
        | K::InvalidTagUtf8 => (
            "a `!` begins a YAML tag, and this is none",
            "put text that begins with `!` in quotes",
        ),
        K::PlainScalarStartsWithDashFlowIndicator => (
            "a `-` needs a space after it",
            "write `- item`, or quote the text",
        ),
        _ => (
            "this is not YAML",
            "check quotes, brackets and indentation around here",
        ),
    }
}
