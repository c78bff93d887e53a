use super::*;

fn error(status: u16, body: &str) -> ServiceError {
    let mut headers = HeaderMap::new();
    headers.insert("x-ms-correlation-request-id", "corr".parse().unwrap());
    let status = StatusCode::from_u16(status).unwrap();
    ServiceError::from_answer("creating virtual machine \"vm\"", status, &headers, body.as_bytes())
}

#[test]
fn every_form_of_an_error_is_read() {
    for (body, code, message) in [
        (r#"{"error":{"code":"A","message":"m"}}"#, "A", "m"),
        (r#"{"code":"A","message":"m"}"#, "A", "m"),
        (r#"{"status":"Failed","error":{"code":"A","message":"m"}}"#, "A", "m"),
        (r#"{"properties":{"error":{"code":"A","message":"m"}}}"#, "A", "m"),
        (r#"<?xml version="1.0"?><Error><Code>A</Code><Message>m</Message></Error>"#, "A", "m"),
        ("<html><body><h1>Bad  gateway</h1></body></html>", "BadRequest", "Bad gateway"),
        ("", "BadRequest", ""),
        ("null", "BadRequest", ""),
        (r#"{"error":"invalid_client","error_description":"d"}"#, "invalid_client", "d"),
    ] {
        let error = error(400, body);
        assert_eq!((error.detail.code.as_str(), error.detail.message.as_str()), (code, message), "{body}");
    }
}

#[test]
fn nested_errors_are_shown_and_the_hint_is_that_of_the_cause() {
    let inner =
        r#"{\"error\":{\"code\":\"SkuNotAvailable\",\"message\":\"not here\",\"target\":\"vmSize\"}}"#;
    let body = format!(
        r#"{{"error":{{"code":"DeploymentFailed","message":"outer","details":[{{"code":"Conflict","message":"{inner}"}}],
           "additionalInfo":[{{"type":"PolicyViolation","info":{{"policy":"p"}}}}]}}}}"#
    );
    let error = error(409, &body);
    let text = error.to_string();
    for part in [
        "creating virtual machine \"vm\" failed: DeploymentFailed: outer",
        "PolicyViolation: {\"policy\":\"p\"}",
        "(HTTP 409)",
        "\n  Conflict\n    SkuNotAvailable: not here [vmSize]",
        "hint: there is no capacity",
        "correlation id: corr",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert_eq!(error.detail.cause().code, "SkuNotAvailable");
    assert!(error.has_code("skunotavailable"));
}

#[test]
fn hints_name_role_scope_and_command() {
    let denied = error(
        403,
        r#"{"error":{"code":"AuthorizationFailed","message":"The client 'a' with object id 'o-1' does not have authorization to perform action 'Microsoft.Compute/virtualMachines/write' over scope '/subscriptions/s/resourceGroups/g' or the scope is invalid."}}"#,
    );
    let hint = denied.hint.unwrap();
    assert!(
        hint.contains("Microsoft.Compute/virtualMachines/write on /subscriptions/s/resourceGroups/g"),
        "{hint}"
    );
    assert!(hint.contains("--assignee-object-id o-1"), "{hint}");
    let terms = error(
        400,
        r#"{"error":{"code":"MarketplacePurchaseEligibilityFailed","message":"see inner","details":[{"code":"BadRequest","message":"Offer with PublisherId: 'pub', OfferId: 'off' cannot be purchased. Legal terms have not been accepted"}]}}"#,
    );
    assert!(terms.hint.unwrap().contains("terms accept --publisher pub --offer off"));
    let provider = error(
        409,
        r#"{"error":{"code":"MissingSubscriptionRegistration","message":"not registered to use namespace 'Microsoft.Network'."}}"#,
    );
    assert!(provider.hint.unwrap().contains("--namespace Microsoft.Network"));
    assert!(error(409, r#"{"error":{"code":"Unheard","message":"m"}}"#).hint.is_none());
}

#[test]
fn endless_nesting_is_cut() {
    let mut body = String::from("{}");
    for _ in 0..100 {
        body = format!(r#"{{"code":"C","message":"m","details":[{body}]}}"#);
    }
    assert!(error(400, &body).to_string().lines().count() < 20);
}
