//! A failure as the API shows it and rows keep it.

use providers::{Cause, Failure, FailureClass};
use serde_json::{Value, json};

/// A failure as the API shows it: `{class, cause, scope, code, detail}`. `cause` is only there where the class is `permanent`;
/// `scope` says more of a rate limit (`account`, `pair`, `reputation`, `template`) or of the recipient (`nobody`, `opted_out` …).
pub fn describe(failure: &Failure) -> Value {
    let cause = failure.class.cause().map(Cause::word);
    let mut parts = failure.class.name().split(':').skip(1);
    let scope = match cause {
        Some(_) => parts.nth(1),
        None => parts.next(),
    };
    let mut shown = json!({
        "class": failure.class.word(), "cause": cause, "code": failure.code, "detail": failure.detail,
    });
    if let Some(scope) = scope {
        shown["scope"] = json!(scope);
    }
    shown
}

/// The failure that was described so. What an older version wrote without a class counts as final.
pub fn described(value: &Value) -> Failure {
    let text = |name: &str| value[name].as_str();
    let parts: Vec<&str> = ["class", "cause", "scope"].into_iter().filter_map(text).collect();
    let class = FailureClass::from_name(&parts.join(":"));
    Failure {
        class: class.unwrap_or(FailureClass::Permanent(Cause::Message)),
        code: text("code").map(ToOwned::to_owned),
        detail: text("detail").unwrap_or_default().to_owned(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_as_it_was_described() {
        for (class, name) in FailureClass::ALL {
            let failure = Failure::new(class, "why").with_code("131026");
            assert_eq!(described(&describe(&failure)), failure, "{name}");
        }
    }

    #[test]
    fn what_was_described_without_a_class_is_final() {
        let old = json!({ "code": "30008", "cause": null });
        assert_eq!(described(&old).class, FailureClass::Permanent(Cause::Message));
        assert_eq!(described(&Value::Null).class, FailureClass::Permanent(Cause::Message));
    }
}
