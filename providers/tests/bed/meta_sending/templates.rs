//! Templates: made, changed and deleted.

use providers::{Cause, FailureClass, ListedTemplate, Step, TemplateDraft};
use serde_json::{Value, json};

use super::{account, answer, show};

fn draft() -> TemplateDraft {
    TemplateDraft {
        name: "visit_reminder".to_owned(),
        language: "pt_BR".to_owned(),
        category: Some("utility".to_owned()),
        parameter_format: None,
        components: json!([
            { "type": "HEADER", "format": "TEXT", "text": "Visita {{1}}", "example": { "header_text": ["12"] } },
            { "type": "BODY", "text": "Olá {{1}}, até {{2}}.", "example": { "body_text": [["Ana", "sexta"]] } },
            { "type": "FOOTER", "text": "Clínica Aurora" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "Confirmar" },
                { "type": "URL", "text": "Mapa", "url": "https://example.com/{{1}}", "example": ["https://example.com/a"] },
                { "type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551140028922" },
            ] },
        ]),
    }
}

fn with(change: impl FnOnce(&mut TemplateDraft)) -> TemplateDraft {
    let mut draft = draft();
    change(&mut draft);
    draft
}

pub fn known() -> ListedTemplate {
    let TemplateDraft { name, language, category, components, .. } = draft();
    ListedTemplate {
        id: "1259544702043867".to_owned(),
        name,
        language,
        status: "approved".to_owned(),
        category,
        parameter_format: Some("positional".to_owned()),
        components,
    }
}

#[test]
fn a_template_is_made_by_one_order_and_listed_as_meta_answers() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    drafts.check(&draft()).unwrap();
    let Step::Next(request) = drafts.create(&draft(), &[]).unwrap() else { panic!("no order") };
    let shown = show(&request);
    assert_eq!(shown["method"], "POST");
    assert_eq!(shown["url"], "https://graph.facebook.com/v24.0/102290129340398/message_templates");
    assert_eq!(
        shown["repeatable"], false,
        "two of a name cannot be made, but one may be made twice"
    );
    let body = json!({
        "name": "visit_reminder", "language": "pt_BR", "category": "UTILITY",
        "parameter_format": "POSITIONAL", "components": draft().components,
    });
    assert_eq!(shown["body"], body);
    // Meta may move it into another category.
    let made =
        answer(200, &[], r#"{"id":"572279198452421","status":"PENDING","category":"MARKETING"}"#);
    let Step::Done(made) = drafts.create(&draft(), &[made]).unwrap() else { panic!("not made") };
    assert_eq!((made.id.as_str(), made.status.as_str()), ("572279198452421", "pending"));
    assert_eq!(made.category.as_deref(), Some("marketing"));
    assert_eq!(made.components, draft().components);

    let named = with(|draft| {
        draft.components = json!([{ "type": "body", "text": "Hello {{name}}!",
            "example": { "body_text_named_params": [{ "param_name": "name", "example": "Ana" }] } }]);
    });
    drafts.check(&named).unwrap();
    let Step::Next(request) = drafts.create(&named, &[]).unwrap() else { panic!("no order") };
    assert_eq!(show(&request)["body"]["parameter_format"], "NAMED");
}

#[test]
fn a_refusal_of_a_template_is_told_by_the_code_that_says_what_is_wrong() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    let refusal = |body: Value| {
        let answer = answer(400, &[], &json!({ "error": body }).to_string());
        drafts.create(&draft(), &[answer]).unwrap_err()
    };
    let twice = refusal(json!({
        "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": 2_388_024,
        "is_transient": false, "error_user_title": "Já existe", "error_user_msg": "Já existe conteúdo nesse idioma",
    }));
    assert_eq!(twice.code.as_deref(), Some("2388024"));
    assert_eq!(twice.class, FailureClass::Permanent(Cause::Message));
    let said = "there is a template of this name in this language already: Já existe conteúdo nesse idioma";
    assert_eq!(twice.detail, said);
    let full = refusal(json!({ "message": "x", "code": 100, "error_subcode": 2_388_019 }));
    assert_eq!(full.class, FailureClass::Permanent(Cause::Account));
    assert_eq!(full.detail, "the account has as many templates as it may have");
    let unknown = refusal(json!({ "message": "Invalid parameter", "code": 100 }));
    assert_eq!(
        (unknown.code.as_deref(), unknown.detail.as_str()),
        (Some("100"), "Invalid parameter")
    );
    let odd = drafts.create(&draft(), &[answer(200, &[], "<html>")]).unwrap_err();
    assert_eq!(odd.class, FailureClass::Indeterminate, "it may have been made");
}

#[test]
fn a_template_is_changed_by_its_id_and_deleted_alone_or_in_all_languages() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    let changed =
        with(|draft| draft.components = json!([{ "type": "BODY", "text": "Até amanhã." }]));
    let request = show(&drafts.change(&known(), &changed).unwrap());
    assert_eq!(request["url"], "https://graph.facebook.com/v24.0/1259544702043867");
    assert_eq!(
        request["body"],
        json!({ "components": changed.components }),
        "the category is the same"
    );
    let moved = with(|draft| draft.category = Some("marketing".to_owned()));
    assert_eq!(show(&drafts.change(&known(), &moved).unwrap())["body"]["category"], "MARKETING");
    let yes = || answer(200, &[], r#"{"success":true}"#);
    let after = drafts.changed(&known(), &changed, &yes()).unwrap();
    assert_eq!((after.status.as_str(), &after.components), ("pending", &changed.components));
    let no = answer(400, &[], r#"{"error":{"code":100,"error_subcode":2388040}}"#);
    assert_eq!(
        drafts.changed(&known(), &changed, &no).unwrap_err().code.as_deref(),
        Some("2388040")
    );

    let one = drafts.delete(&known());
    assert!(one.repeatable);
    let list = "https://graph.facebook.com/v24.0/102290129340398/message_templates";
    let shown = show(&one);
    assert_eq!(shown["method"], "DELETE");
    assert_eq!(shown["url"], format!("{list}?hsm_id=1259544702043867&name=visit_reminder"));
    let all = drafts.delete_all("a&b").unwrap();
    assert_eq!(show(&all)["url"], format!("{list}?name=a%26b"));
    assert_eq!(drafts.deleted(&yes()), Ok(()));
    let gone = answer(400, &[], r#"{"error":{"code":100,"error_subcode":2593002}}"#);
    assert_eq!(drafts.deleted(&gone), Ok(()), "what was gone is gone");
    let denied = answer(403, &[], r#"{"error":{"code":200}}"#);
    assert_eq!(drafts.deleted(&denied).unwrap_err().class, FailureClass::Permanent(Cause::Account));
}

fn parts(components: Value) -> TemplateDraft {
    with(|draft| draft.components = components)
}

fn header(part: &Value) -> TemplateDraft {
    parts(json!([part, { "type": "BODY", "text": "x" }]))
}

/// Each is refused by its member.
fn refuses(refused: impl IntoIterator<Item = (TemplateDraft, &'static str)>) {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    for (draft, field) in refused {
        let unfit = drafts.check(&draft).expect_err(&format!("{field}: {draft:?}"));
        assert_eq!(unfit.field, field, "{unfit}: {draft:?}");
    }
}

#[test]
fn what_meta_would_refuse_of_a_template_is_refused_by_its_member() {
    let body = |text: &str, example: Value| {
        parts(json!([{ "type": "BODY", "text": text, "example": example }]))
    };
    let refused = [
        (with(|draft| draft.name = "Visit".to_owned()), "name"),
        (with(|draft| draft.name = String::new()), "name"),
        (with(|draft| draft.language = "Portuguese".to_owned()), "language"),
        (with(|draft| draft.language = "pt-BR".to_owned()), "language"),
        (with(|draft| draft.category = None), "category"),
        (with(|draft| draft.category = Some("transactional".to_owned())), "category"),
        (with(|draft| draft.parameter_format = Some("numbered".to_owned())), "parameter_format"),
        (with(|draft| draft.parameter_format = Some("named".to_owned())), "parameter_format"),
        (parts(json!({})), "components"),
        (parts(json!([])), "components"),
        (parts(json!([{ "type": "FOOTER", "text": "x" }])), "components"),
        (parts(json!([{ "text": "x" }])), "components[0].type"),
        (
            parts(json!([{ "type": "BODY", "text": "x" }, { "type": "body", "text": "y" }])),
            "components[1]",
        ),
        (body("", Value::Null), "components[0].text"),
        (body(&"x".repeat(1_025), Value::Null), "components[0].text"),
        (body("a {{1}} b {{3}} c", json!({ "body_text": [["a", "b"]] })), "components[0].text"),
        (body("a {{1}} b {{name}} c", json!({ "body_text": [["a", "b"]] })), "components[0].text"),
        (body("a {{Name}} b", Value::Null), "components[0].text"),
        (body("{{1}}, hello", json!({ "body_text": [["a"]] })), "components[0].text"),
        (body("hello {{1}}", json!({ "body_text": [["a"]] })), "components[0].text"),
        (body("a {{1}} b", Value::Null), "components[0].example.body_text"),
        (
            body("a {{1}} b {{2}} c", json!({ "body_text": [["a"]] })),
            "components[0].example.body_text",
        ),
        (
            body(
                "a {{name}} b",
                json!({ "body_text_named_params": [{ "param_name": "other", "example": "x" }] }),
            ),
            "components[0].example.body_text_named_params",
        ),
    ];
    refuses(refused);
}

#[test]
fn headers_and_buttons_that_meta_would_refuse_are_refused_by_their_member() {
    let button = |button: Value| {
        parts(json!([{ "type": "BODY", "text": "x" }, { "type": "BUTTONS", "buttons": [button] }]))
    };
    let refused = [
        (header(&json!({ "type": "HEADER", "text": "x" })), "components[0].format"),
        (header(&json!({ "type": "HEADER", "format": "SOUND" })), "components[0].format"),
        (
            header(&json!({ "type": "HEADER", "format": "TEXT", "text": "x".repeat(61) })),
            "components[0].text",
        ),
        (
            header(&json!({ "type": "HEADER", "format": "TEXT", "text": "{{1}} {{2}}" })),
            "components[0].text",
        ),
        (
            header(&json!({ "type": "HEADER", "format": "TEXT", "text": "x {{1}}" })),
            "components[0].example.header_text",
        ),
        (
            header(&json!({ "type": "HEADER", "format": "IMAGE" })),
            "components[0].example.header_handle",
        ),
        (header(&json!({ "type": "FOOTER", "text": "for {{1}}" })), "components[0].text"),
        (
            parts(json!([{ "type": "BODY", "text": "x" }, { "type": "BUTTONS" }])),
            "components[1].buttons",
        ),
        (button(json!({ "text": "x" })), "components[1].buttons[0].type"),
        (
            button(json!({ "type": "QUICK_REPLY", "text": "x".repeat(26) })),
            "components[1].buttons[0].text",
        ),
        (button(json!({ "type": "URL", "text": "x" })), "components[1].buttons[0].url"),
        (
            button(
                json!({ "type": "URL", "text": "x", "url": "https://a.example/{{1}}/b", "example": "x" }),
            ),
            "components[1].buttons[0].url",
        ),
        (
            button(json!({ "type": "URL", "text": "x", "url": "https://a.example/{{1}}" })),
            "components[1].buttons[0].example",
        ),
        (
            button(json!({ "type": "PHONE_NUMBER", "text": "x" })),
            "components[1].buttons[0].phone_number",
        ),
    ];
    refuses(refused);
}

#[test]
fn what_meta_takes_of_a_template_is_taken() {
    let account = account();
    let drafts = account.templates().unwrap().drafts().unwrap();
    let code = with(|draft| {
        draft.category = Some("authentication".to_owned());
        draft.components = json!([
            { "type": "BODY", "add_security_recommendation": true },
            { "type": "FOOTER", "code_expiration_minutes": 10 },
            { "type": "BUTTONS", "buttons": [{ "type": "OTP", "otp_type": "COPY_CODE" }] },
        ]);
    });
    for taken in [
        draft(),
        code,
        with(|draft| draft.parameter_format = Some("positional".to_owned())),
        parts(json!([{ "type": "BODY", "text": "x" }, { "type": "CAROUSEL", "cards": [] }])),
        header(&json!({ "type": "HEADER", "format": "LOCATION" })),
        header(
            &json!({ "type": "HEADER", "format": "DOCUMENT", "example": { "header_handle": ["4::aW"] } }),
        ),
    ] {
        assert_eq!(drafts.check(&taken), Ok(()), "{taken:?}");
    }
}
