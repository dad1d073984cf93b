//! Scalars as YAML 1.2 means them: `yes` is text, `true` is not, and a number is what it was
//! written as.
//!
//! It refuses to turn one into the other: text that looks like a number has to be quoted.

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// After quotes and escapes are undone.
    pub(super) text: String,
    /// Whether it stood without quotes, so that it may mean something else than text.
    pub(super) plain: bool,
}

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ScalarMeaning {
    Nothing,
    Bool(bool),
    /// A whole number; `None` where it has more digits than any number of a plan.
    Whole(Option<i128>),
    /// A number with a fraction or an exponent, `.inf` or `.nan`.
    Number(f64),
    Text,
}

impl Scalar {
    /// What it means by the core schema of YAML 1.2.
    pub(super) fn meaning(&self) -> ScalarMeaning {
        if !self.plain {
            return ScalarMeaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return ScalarMeaning::Nothing,
            "true" | "True" | "TRUE" => return ScalarMeaning::Bool(true),
            "false" | "False" | "FALSE" => return ScalarMeaning::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return ScalarMeaning::Number(f64::NAN),
            _ => {}
        }
        whole(&self.text)
            .or_else(|| number(&self.text))
            .unwrap_or(ScalarMeaning::Text)
    }
}

fn whole(text: &str) -> Option<ScalarMeaning> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(ScalarMeaning::Whole(text.parse().ok()));
    }
    let (radix, digits) = text.strip_prefix("0x").map_or_else(
        || text.strip_prefix("0o").map(|digits| (8, digits)),
        |digits| Some((16, digits)),
    )?;
    let sound = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    sound.then(|| ScalarMeaning::Whole(i128::from_str_radix(digits, radix).ok()))
}

fn number(text: &str) -> Option<ScalarMeaning> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(ScalarMeaning::Number(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }));
    }
    // Rust reads more than YAML does (`inf`, `nan`), but nothing else that begins with a digit or a
    // point.
    let starts = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if starts {
        text.parse().ok().map(ScalarMeaning::Number)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> ScalarMeaning {
        Scalar {
            text: text.to_owned(),
            plain: true,
        }
        .meaning()
    }

    #[test]
    fn words_of_older_yaml_are_text() {
        let words = "yes no on off y 1_000 0b1 1:30 inf nan e5 1.2.3 30m - . +-1 \
                     1e 1.5f 0x 0xg 0o 0o8 -0x1 infinity +nan .inF 1infinity nuLL tRue .Nan";
        for text in words.split(' ').chain(["1 ", " 1"]) {
            assert_eq!(plain(text), ScalarMeaning::Text, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_whole_or_with_a_fraction() {
        assert_eq!(plain("-7"), ScalarMeaning::Whole(Some(-7)));
        assert_eq!(plain("0x1F"), ScalarMeaning::Whole(Some(31)));
        assert_eq!(plain("0o17"), ScalarMeaning::Whole(Some(15)));
        assert_eq!(plain(&"9".repeat(99)), ScalarMeaning::Whole(None));
        assert_eq!(plain("2.5e3"), ScalarMeaning::Number(2500.0));
        assert_eq!(plain(".5"), ScalarMeaning::Number(0.5));
        assert_eq!(plain("-.inf"), ScalarMeaning::Number(f64::NEG_INFINITY));
        assert_eq!(plain("+.Inf"), ScalarMeaning::Number(f64::INFINITY));
        assert!(matches!(plain(".NaN"), ScalarMeaning::Number(number) if number.is_nan()));
        assert_eq!(plain("+7"), ScalarMeaning::Whole(Some(7)));
        assert_eq!(plain("1E2"), ScalarMeaning::Number(100.0));
        assert_eq!(plain("-1."), ScalarMeaning::Number(-1.0));
        assert_eq!(plain("0xfF"), ScalarMeaning::Whole(Some(255)));
        assert_eq!(
            plain(&format!("0x{}", "f".repeat(40))),
            ScalarMeaning::Whole(None)
        );
    }

    #[test]
    fn quoted_text_is_text() {
        assert_eq!(
            Scalar {
                text: "1".to_owned(),
                plain: false
            }
            .meaning(),
            ScalarMeaning::Text
        );
        assert_eq!(plain("~"), ScalarMeaning::Nothing);
        assert_eq!(plain("True"), ScalarMeaning::Bool(true));
    }
}
