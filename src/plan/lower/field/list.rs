//! Fields that hold many values: lists, and maps of variables.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Field, SHOWN, VARIABLES, describe};
use crate::plan::complaint::{Critic, quoted};
use crate::plan::raw::{Value, YamlNode};
use crate::plan::scalar::ScalarMeaning;
use crate::text::beginning;

impl<'n> Field<'n> {
    /// The items of a list, as fields of the same key.
    pub(in crate::plan::lower) fn items(
        self,
        critic: &mut Critic<'_>,
    ) -> Option<impl Iterator<Item = Field<'n>> + use<'n>> {
        let Value::List(items) = &self.node.value else {
            self.not_a_list(critic);
            return None;
        };
        let field = move |node: &'n Rc<YamlNode>| Field {
            key: self.key,
            key_at: node.at,
            node: node.as_ref(),
        };
        Some(items.iter().map(field))
    }

    fn not_a_list(self, critic: &mut Critic<'_>) {
        let Value::Scalar(scalar) = &self.node.value else {
            return self.wrong("a list", critic);
        };
        if scalar.meaning() == ScalarMeaning::Nothing {
            return self.wrong("a list", critic);
        }
        let what = format!(
            "`{}` must be a list, but this is {}",
            self.key,
            describe(self.node)
        );
        critic
            .say(self.pointed(), what)
            .advise(format!("write `[\"{}\"]`", beginning(&scalar.text, SHOWN)));
    }

    /// Whether there are several values, or may be.
    pub(in crate::plan::lower) fn is_list(self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// The items of a list, each read by `read`; those that cannot be read are left out.
    pub(in crate::plan::lower) fn list<T>(
        self,
        critic: &mut Critic<'_>,
        mut read: impl FnMut(Field<'n>, &mut Critic<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items(critic)?;
        Some(items.filter_map(|item| read(item, critic)).collect())
    }

    /// Variables: names and texts.
    pub(in crate::plan::lower) fn variables(
        self,
        critic: &mut Critic<'_>,
    ) -> Option<BTreeMap<String, String>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong(VARIABLES, critic);
            return None;
        };
        let mut variables = BTreeMap::new();
        for entry in entries {
            let value = Field {
                key: &entry.key,
                key_at: entry.key_at,
                node: &entry.node,
            }
            .text(critic);
            if !is_variable(&entry.key) {
                critic
                    .say(
                        entry.key_at,
                        format!("{} is not the name of a variable", quoted(&entry.key)),
                    )
                    .advise("use letters, digits and `_`, and no digit first");
            } else if let Some(value) = value {
                variables.insert(entry.key.clone(), value);
            }
        }
        Some(variables)
    }

    /// The name of a variable.
    pub(in crate::plan::lower) fn variable(self, critic: &mut Critic<'_>) -> Option<String> {
        let name = self.text(critic)?;
        if is_variable(&name) {
            return Some(name);
        }
        critic
            .say(
                self.pointed(),
                format!("{} is not the name of a variable", quoted(&name)),
            )
            .advise("use letters, digits and `_`, and no digit first");
        None
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
