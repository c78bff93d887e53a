use std::sync::Arc;

use super::*;
use crate::testing::{self, Script, with_token};

const MINUTES_15: Duration = Duration::from_secs(900);
const AAO: &str = "azure-asyncoperation: https://management.azure.com/op\nretry-after: 0";
const LOCATION: &str = "location: https://management.azure.com/result\nretry-after: 0";
const DONE: &str = r#"{"status":"Succeeded"}"#;
const BUSY: &str = r#"{"status":"InProgress"}"#;
const READY: &str = r#"{"name":"x","properties":{"provisioningState":"Succeeded"}}"#;
const CREATING: &str = r#"{"name":"x","properties":{"provisioningState":"Creating"}}"#;

fn call(arm: &Arm, method: &str) -> Call {
    let method: Method = method.parse().unwrap();
    if method == Method::PUT {
        return arm.put("/x", "v", &serde_json::json!({"tags": {BUILD_TAG: "b1"}}), "creating x");
    }
    arm.call(method, "/x", "v", "changing x")
}

async fn try_run(script: Script, method: &str) -> (Arc<Script>, Result<Value, ArmError>, Duration) {
    let script = Arc::new(script);
    let arm = testing::arm(&script, MINUTES_15);
    let began = Instant::now();
    let result = run(&arm, &call(&arm, method)).await;
    (script, result, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn every_style_of_operation_is_followed_to_its_end() {
    // (method, script, requests after the token)
    let cases: Vec<(&str, Script, Vec<&str>)> = vec![
        ("PUT", with_token().on("PUT /x", [(201, READY)]), vec!["PUT /x"]),
        ("PUT", with_token().on("PUT /x", [(200, r#"{"name":"x"}"#)]), vec!["PUT /x"]),
        (
            "PUT",
            with_token().on("PUT /x", [(201, CREATING)]).on("GET /x", [(200, CREATING), (200, READY)]),
            vec!["PUT /x", "GET /x", "GET /x"],
        ),
        (
            "PUT",
            with_token()
                .on_with("PUT /x", [(201, AAO, CREATING)])
                .on("GET /op", [(200, BUSY), (200, DONE)])
                .on("GET /x", [(200, READY)]),
            vec!["PUT /x", "GET /op", "GET /op", "GET /x"],
        ),
        (
            "PUT",
            with_token()
                .on_with("PUT /x", [(202, LOCATION, "")])
                .on("GET /result", [(202, ""), (200, READY)])
                .on("GET /x", [(200, READY)]),
            vec!["PUT /x", "GET /result", "GET /result", "GET /x"],
        ),
        // Accepted without any hint, and invisible for a moment.
        (
            "PUT",
            with_token().on("PUT /x", [(202, "")]).on("GET /x", [(404, ""), (200, CREATING), (200, READY)]),
            vec!["PUT /x", "GET /x", "GET /x", "GET /x"],
        ),
        ("DELETE", with_token().on("DELETE /x", [(204, "")]), vec!["DELETE /x"]),
        ("DELETE", with_token().on("DELETE /x", [(200, "")]), vec!["DELETE /x"]),
        ("DELETE", with_token().on("DELETE /x", [(404, "")]), vec!["DELETE /x"]),
        (
            "DELETE",
            with_token().on_with("DELETE /x", [(202, LOCATION, "")]).on("GET /result", [(202, ""), (204, "")]),
            vec!["DELETE /x", "GET /result", "GET /result"],
        ),
        // The result is forgotten as soon as the deletion is over: the resource tells.
        (
            "DELETE",
            with_token().on_with("DELETE /x", [(202, LOCATION, "")]),
            vec!["DELETE /x", "GET /result", "GET /x"],
        ),
        (
            "DELETE",
            with_token()
                .on("DELETE /x", [(202, "")])
                .on("GET /x", [(200, r#"{"properties":{"provisioningState":"Deleting"}}"#), (404, "")]),
            vec!["DELETE /x", "GET /x", "GET /x"],
        ),
        (
            "POST",
            with_token().on_with("POST /x", [(202, AAO, "")]).on("GET /op", [(200, BUSY), (200, DONE)]),
            vec!["POST /x", "GET /op", "GET /op"],
        ),
        (
            "POST",
            with_token()
                .on_with(
                    "POST /x",
                    [(202, "azure-asyncoperation: https://management.azure.com/op\nlocation: https://management.azure.com/result", "")],
                )
                .on("GET /op", [(200, DONE)])
                .on("GET /result", [(200, r#"{"out":1}"#)]),
            vec!["POST /x", "GET /op", "GET /result"],
        ),
        ("POST", with_token().on("POST /x", [(200, "")]), vec!["POST /x"]),
    ];
    for (index, (method, script, expected)) in cases.into_iter().enumerate() {
        let (script, result, took) = try_run(script, method).await;
        let value = result.unwrap_or_else(|e| panic!("case {index}: {e}"));
        let lines: Vec<_> = script.lines().into_iter().filter(|l| !l.contains("oauth2")).collect();
        assert_eq!(lines, expected, "case {index}");
        assert!(took < Duration::from_millis(200), "case {index} took {took:?}");
        if method == "PUT" {
            assert_eq!(value["name"], "x", "case {index}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn poll_addresses_may_move_and_keep_their_query() {
    let script = with_token()
        .on_with(
            "PUT /x",
            [(201, "azure-asyncoperation: https://management.azure.com/op?t=1&s=a%2Fb", CREATING)],
        )
        .on_with("GET /op", [(200, "azure-asyncoperation: https://management.azure.com/op2?c=3", BUSY)])
        .on("GET /op2", [(200, DONE)])
        .on("GET /x", [(200, READY)]);
    let (script, result, _) = try_run(script, "PUT").await;
    result.unwrap();
    let queries: Vec<_> =
        script.sent().into_iter().filter(|s| s.line.contains("/op")).map(|s| s.query).collect();
    assert_eq!(queries, ["t=1&s=a%2Fb", "c=3"]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_address_elsewhere_gets_no_token() {
    for header in [
        "azure-asyncoperation: https://evil.example/op",
        "location: http://management.azure.com/result",
        "azure-asyncoperation: /relative",
    ] {
        let script = with_token().on_with("PUT /x", [(202, header, "")]);
        let (script, result, _) = try_run(script, "PUT").await;
        assert!(matches!(result, Err(ArmError::Protocol { .. })), "{header}: {result:?}");
        assert_eq!(script.lines().len(), 2, "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_carry_the_words_of_the_service() {
    let failed = r#"{"status":"Failed","error":{"code":"AllocationFailed","message":"no capacity","details":[{"code":"Inner","message":"why"}]}}"#;
    let cases = vec![
        with_token().on_with("PUT /x", [(201, AAO, CREATING)]).on("GET /op", [(200, failed)]),
        with_token().on_with("PUT /x", [(202, LOCATION, "")]).on("GET /result", [(202, ""), (409, failed)]),
        with_token().on("PUT /x", [(409, failed)]),
        with_token().on("PUT /x", [(201, CREATING)]).on(
            "GET /x",
            [(200, r#"{"properties":{"provisioningState":"Failed","error":{"code":"AllocationFailed","message":"no capacity","details":[{"code":"Inner","message":"why"}]}}}"#)],
        ),
    ];
    for (index, script) in cases.into_iter().enumerate() {
        let (_, result, _) = try_run(script, "PUT").await;
        let text = result.unwrap_err().to_string();
        for part in ["creating x failed", "AllocationFailed: no capacity", "Inner: why", "hint: "] {
            assert!(text.contains(part), "case {index}: {text}");
        }
    }
    for word in ["Canceled", "cancelled"] {
        let script = with_token()
            .on_with("PUT /x", [(201, AAO, CREATING)])
            .on("GET /op", [(200, format!(r#"{{"status":"{word}"}}"#))]);
        let (_, result, _) = try_run(script, "PUT").await;
        assert!(result.unwrap_err().to_string().contains("OperationCanceled"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_lost_is_replaced_by_the_resource() {
    let script =
        with_token().on_with("PUT /x", [(201, AAO, CREATING)]).on("GET /x", [(200, CREATING), (200, READY)]);
    let (script, result, _) = try_run(script, "PUT").await;
    assert_eq!(result.unwrap()["name"], "x");
    assert_eq!(script.count("GET /op"), 4);
    // An action has no resource that would tell: then it is an error.
    let script = with_token().on_with("POST /x", [(202, AAO, "")]);
    let (_, result, _) = try_run(script, "POST").await;
    assert!(result.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn waits_obey_the_service_and_never_spin() {
    // Three seconds, then seven, then the last word stays.
    let script = with_token()
        .on_with(
            "PUT /x",
            [(201, "azure-asyncoperation: https://management.azure.com/op\nretry-after: 3", CREATING)],
        )
        .on_with("GET /op", [(200, "retry-after: 7", BUSY), (200, "", BUSY), (200, "", DONE)])
        .on("GET /x", [(200, READY)]);
    let (_, result, took) = try_run(script, "PUT").await;
    result.unwrap();
    assert_eq!(took.as_secs(), 3 + 7 + 7);

    // A service that says "at once" for five minutes.
    let script = with_token()
        .on_with("PUT /x", [(201, AAO, CREATING)])
        .on_with("GET /op", [(200, "retry-after: 0", BUSY)]);
    let (script, result, took) = try_run(script, "PUT").await;
    assert!(matches!(result, Err(ArmError::Timeout { .. })));
    assert!(took >= MINUTES_15 && took < MINUTES_15 + Duration::from_secs(2), "{took:?}");
    assert!(script.count("GET /op") < 1000, "{}", script.count("GET /op"));

    // Without a hint the first answers come in milliseconds and the later ones seldom.
    let script = with_token().on("PUT /x", [(201, CREATING)]).on("GET /x", [(200, CREATING)]);
    let (script, _, _) = try_run(script, "PUT").await;
    let early = script.sent().iter().filter(|s| s.at < Duration::from_millis(100)).count();
    let all = script.count("GET /x");
    assert!((5..20).contains(&early) && all < 150, "{early} early of {all}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_resolved_by_reading() {
    let ours =
        r#"{"name":"x","tags":{"fornax-build-id":"b1"},"properties":{"provisioningState":"Succeeded"}}"#;
    let foreign = r#"{"name":"x","tags":{"fornax-build-id":"b2"}}"#;
    // It took effect.
    let script = with_token().cut("PUT /x").on("GET /x", [(200, ours)]);
    let (script, result, _) = try_run(script, "PUT").await;
    assert_eq!(result.unwrap()["name"], "x");
    assert_eq!(script.count("PUT /x"), 1);
    // It did not.
    let script = with_token().cut("PUT /x").on("PUT /x", [(201, ours)]);
    let (script, result, _) = try_run(script, "PUT").await;
    result.unwrap();
    assert_eq!((script.count("PUT /x"), script.count("GET /x")), (2, 1));
    // Somebody else was first.
    let script = with_token().cut("PUT /x").on("GET /x", [(200, foreign)]);
    let (script, result, _) = try_run(script, "PUT").await;
    assert!(result.unwrap_err().to_string().contains("did not create"));
    assert_eq!(script.count("PUT /x"), 1);
    // The gateway lost patience.
    let script = with_token().on("PUT /x", [(504, "")]).on("GET /x", [(200, ours)]);
    let (script, result, _) = try_run(script, "PUT").await;
    result.unwrap();
    assert_eq!(script.count("PUT /x"), 1);
    // A deletion that took effect, and one that did not.
    let script = with_token().cut("DELETE /x");
    let (script, result, _) = try_run(script, "DELETE").await;
    result.unwrap();
    assert_eq!(script.count("DELETE /x"), 1);
    let script = with_token().cut("DELETE /x").on("DELETE /x", [(204, "")]).on("GET /x", [(200, ours)]);
    let (script, result, _) = try_run(script, "DELETE").await;
    result.unwrap();
    assert_eq!(script.count("DELETE /x"), 2);
    // It never works: an end.
    let script = with_token().cut("PUT /x");
    let (script, result, _) = try_run(script, "PUT").await;
    assert!(matches!(result, Err(ArmError::Unsettled { .. })));
    assert_eq!(script.count("PUT /x"), 6);
}

#[tokio::test(start_paused = true)]
async fn throttling_pauses_and_costs_no_tries() {
    let mut script = with_token();
    for _ in 0..30 {
        script = script.on_with("PUT /x", [(429, "retry-after: 2", "")]);
    }
    let (script, result, took) = try_run(script.on("PUT /x", [(201, READY)]), "PUT").await;
    result.unwrap();
    assert_eq!(script.count("PUT /x"), 31);
    assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(75), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn server_errors_are_repeated_a_few_times_and_refusals_never() {
    let script = with_token().on("PUT /x", [(500, ""), (503, ""), (201, READY)]);
    let (script, result, _) = try_run(script, "PUT").await;
    result.unwrap();
    assert_eq!(script.count("PUT /x"), 3);
    let script = with_token().on("PUT /x", [(500, "")]);
    let (script, result, _) = try_run(script, "PUT").await;
    assert!(result.is_err());
    assert_eq!(script.count("PUT /x"), 7);
    let script = with_token().refuse("PUT /x").on("PUT /x", [(201, READY)]);
    try_run(script, "PUT").await.1.unwrap();
    for status in [400, 403, 404, 409, 412] {
        let (script, result, _) = try_run(with_token().on("PUT /x", [(status, "")]), "PUT").await;
        assert!(result.is_err());
        assert_eq!(script.count("PUT /x"), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_renewed_once() {
    let script = with_token().on("PUT /x", [(401, ""), (201, READY)]);
    let (script, result, _) = try_run(script, "PUT").await;
    result.unwrap();
    assert_eq!(script.count("POST"), 2);
    let (script, result, _) = try_run(with_token().on("PUT /x", [(401, "")]), "PUT").await;
    assert!(result.is_err());
    assert_eq!((script.count("POST"), script.count("PUT")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn requests_carry_what_the_service_needs() {
    let script = Arc::new(with_token().on("PUT /x", [(201, READY)]).on("POST /x", [(200, "")]));
    let arm = testing::arm(&script, MINUTES_15);
    run(&arm, &call(&arm, "PUT")).await.unwrap();
    run(&arm, &call(&arm, "POST")).await.unwrap();
    let sent = script.sent();
    let put = &sent[1].headers;
    assert_eq!(put["authorization"], "Bearer tok");
    assert_eq!(put["content-type"], "application/json");
    assert_eq!(sent[2].headers["content-length"], "0");
    assert_eq!(put["x-ms-correlation-request-id"], sent[2].headers["x-ms-correlation-request-id"]);
    assert_ne!(put["x-ms-client-request-id"], sent[2].headers["x-ms-client-request-id"]);
    assert_eq!(sent[1].query, "api-version=v");
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_every_wait() {
    for script in [
        with_token().hang("PUT /x"),
        with_token()
            .on_with("PUT /x", [(201, "retry-after: 100\nlocation: https://management.azure.com/r", "")]),
        with_token().on_with("PUT /x", [(429, "retry-after: 100", "")]),
        with_token().on("PUT /x", [(500, "")]),
    ] {
        let script = Arc::new(script);
        let arm = testing::arm(&script, MINUTES_15);
        let began = Instant::now();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            arm.cancel().cancel();
        };
        let put = call(&arm, "PUT");
        let (result, ()) = tokio::join!(run(&arm, &put), stop);
        assert!(matches!(result, Err(ArmError::Cancelled)), "{result:?}");
        assert!(began.elapsed() < Duration::from_millis(60));
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_page_by_page() {
    let script = Arc::new(
        with_token()
            .on(
                "GET /list",
                [(200, r#"{"value":[1,2],"nextLink":"https://management.azure.com/more?skip=2"}"#)],
            )
            .on("GET /more", [(200, r#"{"value":[3],"nextLink":""}"#)])
            .on("GET /bare", [(200, "[7]")])
            .on("GET /bad", [(200, r#"{"value":[],"nextLink":"https://evil.example/"}"#)]),
    );
    let arm = testing::arm(&script, MINUTES_15);
    assert_eq!(arm.list(arm.url("/list", "v"), "listing").await.unwrap(), [1, 2, 3]);
    assert_eq!(arm.list(arm.url("/bare", "v"), "listing").await.unwrap(), [7]);
    assert!(arm.list(arm.url("/bad", "v"), "listing").await.is_err());
}
