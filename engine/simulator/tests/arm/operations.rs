//! Long-running operations: how each kind announces itself, how it is polled, and how it ends.

use fornax_simulator::Latency;
use serde_json::{Value, json};

use crate::bench::{Answer, Cloud, NONE, address, located, long, vnet};

/// Which of the two URLs an answer has.
fn style(answer: &Answer) -> String {
    let has = |name: &str, word: &'static str| (!answer.header(name).is_empty()).then_some(word);
    [has("azure-asyncoperation", "async"), has("location", "location")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("+")
}

async fn slow() -> Cloud {
    Cloud::with(json!({}), json!([]), Latency::Azure).await
}

#[tokio::test(start_paused = true)]
async fn each_type_announces_its_operations_in_its_own_style() {
    let cloud = slow().await;
    let image = located(json!({ "sourceVirtualMachine": { "id": cloud.id("C/virtualMachines/vm") } }));
    let disk = || located(json!({ "creationData": { "createOption": "Empty" }, "diskSizeGB": 4 }));
    for (request, body, status, wanted, part) in [
        (
            "PUT R/N/virtualNetworks/vn",
            vnet(&["s"]),
            201,
            "async",
            "/providers/Microsoft.Network/locations/westeurope/operations/",
        ),
        ("PUT R/N/virtualNetworks/vn", vnet(&["s"]), 200, "async", "Microsoft.Network"),
        ("PUT R/N/publicIPAddresses/p", address(), 201, "async", "Microsoft.Network"),
        ("PUT R/N/networkSecurityGroups/g", located(json!({})), 201, "async", "Microsoft.Network"),
        (
            "PUT R/N/networkInterfaces/n",
            cloud.nic("s", Some("p"), Some("g")),
            201,
            "async",
            "Microsoft.Network",
        ),
        (
            "PUT R/C/virtualMachines/vm",
            cloud.vm(json!({})),
            201,
            "async",
            "/providers/Microsoft.Compute/locations/westeurope/operations/",
        ),
        ("POST R/C/virtualMachines/vm/powerOff", NONE, 202, "async+location", "Microsoft.Compute"),
        ("POST R/C/virtualMachines/vm/start", NONE, 202, "async+location", "Microsoft.Compute"),
        ("POST R/C/virtualMachines/vm/restart", NONE, 202, "async+location", "Microsoft.Compute"),
        ("POST R/C/virtualMachines/vm/deallocate", NONE, 202, "async+location", "Microsoft.Compute"),
        ("POST R/C/virtualMachines/vm/generalize", NONE, 200, "", ""),
        ("PUT R/C/images/i", image, 201, "async", "Microsoft.Compute"),
        ("PUT R/C/disks/d", disk(), 202, "async+location", "/DiskOperations/"),
        ("DELETE R/C/disks/d", NONE, 202, "async+location", "/DiskOperations/"),
        ("DELETE R/C/images/i", NONE, 202, "async+location", "Microsoft.Compute"),
        ("DELETE R/C/virtualMachines/vm", NONE, 202, "async+location", "Microsoft.Compute"),
        ("DELETE R/N/networkInterfaces/n", NONE, 202, "async+location", "Microsoft.Network"),
        ("PUT S/resourcegroups/new", json!({ "location": "westeurope" }), 201, "", ""),
        ("DELETE S/resourcegroups/new", NONE, 202, "location", "/operationresults/"),
    ] {
        let answer = cloud.send(request, &body).await;
        assert_eq!(
            (answer.status, style(&answer).as_str()),
            (status, wanted),
            "{request}: {:#}",
            answer.body
        );
        let url = [answer.header("azure-asyncoperation"), answer.header("location")].concat();
        assert!(url.contains(part), "{request}: {url}");
        assert!(url.is_empty() || url.starts_with("https://arm.test/subscriptions/"), "{request}: {url}");
        assert_eq!(answer.header("retry-after"), if wanted.is_empty() { "" } else { "1" }, "{request}");
        if status == 201 && !wanted.is_empty() {
            assert_eq!(answer.body["properties"]["provisioningState"], "Creating", "{request}");
        }
        if status == 202 && !request.contains("disks") {
            assert_eq!(answer.body, NONE, "{request}");
        }
        long().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_followed_to_its_end() {
    let cloud = slow().await;
    let answer = cloud.send("PUT R/N/publicIPAddresses/p", &address()).await;
    let url = answer.header("azure-asyncoperation").to_owned();
    let first = cloud.follow(&url).await;
    assert_eq!(
        (first.status, &first.body["status"], first.header("retry-after")),
        (200, &json!("InProgress"), "1")
    );
    assert!(first.body["startTime"].is_string() && first.body["endTime"].is_null());
    let shown = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await;
    assert_eq!((shown.status, &shown.body["properties"]["provisioningState"]), (200, &json!("Creating")));
    long().await;
    let last = cloud.follow(&url).await;
    assert_eq!((last.status, &last.body["status"]), (200, &json!("Succeeded")));
    assert!(last.body["endTime"].is_string());
    assert_eq!(
        last.body["name"],
        url.split(['/', '?']).find(|part| part.len() == 36 && *part == last.body["name"]).unwrap()
    );
    // `Location` answers 202 without a body, and in the end what a synchronous call would have said.
    let answer = cloud.send("DELETE R/N/publicIPAddresses/p", &NONE).await;
    let (operation, location) =
        (answer.header("azure-asyncoperation").to_owned(), answer.header("location").to_owned());
    let running = cloud.follow(&location).await;
    assert_eq!((running.status, &running.body, running.header("retry-after")), (202, &NONE, "1"));
    assert!(running.header("location").starts_with("https://arm.test/"));
    let shown = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await;
    assert_eq!(shown.body["properties"]["provisioningState"], "Deleting");
    long().await;
    assert_eq!(cloud.follow(&location).await.short(), "204");
    assert_eq!(cloud.follow(&operation).await.body["status"], "Succeeded");
    assert_eq!(cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_location_answers_in_the_end() {
    let cloud = slow().await;
    let disk = located(json!({ "creationData": { "createOption": "Empty" }, "diskSizeGB": 4 }));
    let created = cloud.send("PUT R/C/disks/d", &disk).await;
    long().await;
    let done = cloud.follow(created.header("location")).await;
    assert_eq!((done.status, &done.body["name"]), (200, &json!("d")), "the resource");
    let deleted = cloud.send("DELETE R/C/disks/d", &NONE).await;
    long().await;
    assert_eq!(cloud.follow(deleted.header("location")).await.short(), "200");
    cloud.given(&[("PUT S/resourcegroups/g", json!({ "location": "westeurope" }))]).await;
    let deleted = cloud.send("DELETE S/resourcegroups/g", &NONE).await;
    assert_eq!(cloud.follow(deleted.header("location")).await.status, 202);
    long().await;
    assert_eq!(cloud.follow(deleted.header("location")).await.short(), "200");
    let unknown = deleted.header("location").replace("/operationresults/", "/operationresults/0");
    assert_eq!(cloud.follow(&unknown).await.short(), "404 NotFound");
}

#[tokio::test(start_paused = true)]
async fn one_operation_at_a_time() {
    let cloud = slow().await;
    cloud
        .table(&[
            ("PUT R/N/virtualNetworks/vn", vnet(&["s"]), "201"),
            ("PUT R/N/virtualNetworks/vn", vnet(&["s"]), "409 AnotherOperationInProgress"),
            ("PATCH R/N/virtualNetworks/vn", json!({ "tags": {} }), "409 AnotherOperationInProgress"),
            (
                "PUT R/N/networkInterfaces/n",
                cloud.nic("s", None, None),
                "429 ReferencedResourceNotProvisioned",
            ),
        ])
        .await;
    long().await;
    cloud
        .table(&[
            ("PUT R/N/networkInterfaces/n", cloud.nic("s", None, None), "201"),
            ("PUT R/C/virtualMachines/vm", cloud.vm(json!({})), "409 OperationNotAllowed"),
        ])
        .await;
    long().await;
    let image = || located(json!({ "sourceVirtualMachine": { "id": cloud.id("C/virtualMachines/vm") } }));
    cloud
        .table(&[
            ("PUT R/C/virtualMachines/vm", cloud.vm(json!({})), "201"),
            ("PUT R/C/virtualMachines/vm", cloud.vm(json!({})), "409 Conflict"),
            ("PATCH R/C/virtualMachines/vm", json!({ "tags": {} }), "409 Conflict"),
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "409 Conflict"),
            ("POST R/C/virtualMachines/vm/generalize", NONE, "409 Conflict"),
        ])
        .await;
    long().await;
    cloud
        .table(&[
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("PUT R/C/images/i", image(), "409 Conflict"),
        ])
        .await;
    long().await;
    cloud
        .table(&[
            ("POST R/C/virtualMachines/vm/generalize", NONE, "200"),
            ("PUT R/C/images/i", image(), "201"),
            ("PUT R/C/images/i", image(), "409 Conflict"),
            ("DELETE R/C/images/i", NONE, "202"),
            ("PUT R/C/images/i", image(), "409 Conflict"),
        ])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_ends_a_creation_and_joins_a_deletion() {
    let cloud = slow().await;
    let created = cloud.send("PUT R/N/publicIPAddresses/p", &address()).await;
    let first = cloud.send("DELETE R/N/publicIPAddresses/p", &NONE).await;
    let second = cloud.send("DELETE R/N/publicIPAddresses/p", &NONE).await;
    assert_eq!((first.status, second.status), (202, 202));
    long().await;
    for (answer, wanted) in [(&created, "Canceled"), (&first, "Succeeded"), (&second, "Succeeded")] {
        assert_eq!(cloud.follow(answer.header("azure-asyncoperation")).await.body["status"], wanted);
    }
    assert_eq!(cloud.simulator.inventory().len(), 1);
    // One that joined late does not take what was made anew.
    let first = cloud.send("PUT R/N/publicIPAddresses/p", &address()).await;
    assert_eq!(first.status, 201);
    long().await;
    assert_eq!(cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.status, 200);
}

async fn with_fault(fault: Value, latency: Latency) -> (Cloud, Answer) {
    let faults = json!([{ "match": { "method": "PUT", "type": "Microsoft.Network/publicIPAddresses" }, "then": fault }]);
    let cloud = Cloud::with(json!({}), faults, latency).await;
    let answer = cloud.send("PUT R/N/publicIPAddresses/p", &address()).await;
    (cloud, answer)
}

#[tokio::test(start_paused = true)]
async fn failure_and_cancellation_travel_in_a_200() {
    for (fault, status, code, state) in [
        (
            json!({ "operation": "fail", "code": "AllocationFailed", "message": "full" }),
            "Failed",
            "AllocationFailed",
            "Failed",
        ),
        (json!({ "operation": "fail" }), "Failed", "InternalOperationError", "Failed"),
        (json!({ "operation": "cancel" }), "Canceled", "OperationCanceled", "Canceled"),
    ] {
        for latency in [Latency::Instant, Latency::Azure] {
            let (cloud, answer) = with_fault(fault.clone(), latency).await;
            assert_eq!(answer.status, 201, "{fault}");
            long().await;
            let poll = cloud.follow(answer.header("azure-asyncoperation")).await;
            assert_eq!((poll.status, &poll.body["status"]), (200, &json!(status)), "{fault}");
            assert_eq!(poll.body["error"]["code"], code, "{fault}");
            let shown = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await;
            assert_eq!(shown.body["properties"]["provisioningState"], state, "{fault}");
            // What failed can be deleted.
            assert_eq!(cloud.send("DELETE R/N/publicIPAddresses/p", &NONE).await.status, 202);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn location_alone_gives_the_error_itself() {
    let fault = json!({ "operation": "fail", "code": "AllocationFailed", "polling": "location" });
    let (cloud, answer) = with_fault(fault, Latency::Azure).await;
    assert_eq!(style(&answer), "location");
    assert_eq!(cloud.follow(answer.header("location")).await.status, 202);
    long().await;
    assert_eq!(cloud.follow(answer.header("location")).await.short(), "409 AllocationFailed");
}

#[tokio::test(start_paused = true)]
async fn faults_choose_the_style() {
    for (fault, wanted, retry, state) in [
        (json!({ "polling": "async" }), "async", "1", "Creating"),
        (json!({ "polling": "location" }), "location", "1", "Creating"),
        (json!({ "polling": "both" }), "async+location", "1", "Creating"),
        (json!({ "polling": "state" }), "", "", "Creating"),
        (json!({ "polling": "sync" }), "", "", "Succeeded"),
        (json!({ "retry_after": 7 }), "async", "7", "Creating"),
    ] {
        let (cloud, answer) = with_fault(fault.clone(), Latency::Azure).await;
        assert_eq!((answer.status, style(&answer).as_str()), (201, wanted), "{fault}");
        assert_eq!(answer.header("retry-after"), retry, "{fault}");
        assert_eq!(answer.body["properties"]["provisioningState"], state, "{fault}");
        long().await;
        let shown = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await;
        assert_eq!(shown.body["properties"]["provisioningState"], "Succeeded", "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_hangs_ends_with_a_deletion() {
    let (cloud, answer) = with_fault(json!({ "operation": "hang" }), Latency::Instant).await;
    let url = answer.header("azure-asyncoperation").to_owned();
    long().await;
    assert_eq!(cloud.follow(&url).await.body["status"], "InProgress");
    assert_eq!(cloud.send("DELETE R/N/publicIPAddresses/p", &NONE).await.status, 202);
    assert_eq!(cloud.follow(&url).await.body["status"], "Canceled");
    assert_eq!(cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.status, 404);
}

#[tokio::test]
async fn an_instant_cloud_is_done_at_the_first_poll() {
    let cloud = Cloud::new().await;
    let answer = cloud.send("PUT R/N/publicIPAddresses/p", &address()).await;
    assert_eq!(answer.header("retry-after"), "0");
    assert_eq!(cloud.follow(answer.header("azure-asyncoperation")).await.body["status"], "Succeeded");
}

#[tokio::test]
async fn faults_find_their_requests() {
    for (kind, request, wanted) in [
        ("Microsoft.Compute/virtualMachines", "GET R/C/virtualMachines/x", "503 ServiceUnavailable"),
        ("Microsoft.Compute/virtualMachines", "POST R/C/virtualMachines/x/start", "404 ResourceNotFound"),
        (
            "Microsoft.Compute/virtualMachines/start",
            "POST R/C/virtualMachines/x/start",
            "503 ServiceUnavailable",
        ),
        (
            "microsoft.network/virtualnetworks/SUBNETS",
            "GET R/N/virtualNetworks/x/subnets/y",
            "503 ServiceUnavailable",
        ),
        ("Microsoft.Resources/resourceGroups", "GET R", "503 ServiceUnavailable"),
        ("Microsoft.Resources/resourceGroups", "GET R/N/virtualNetworks/x", "404 ResourceNotFound"),
        ("operation", "GET S/N/locations/westeurope/operations/x", "503 ServiceUnavailable"),
        ("operation", "GET R", "200"),
        ("metadata", "GET /metadata/endpoints", "503 ServiceUnavailable"),
        ("token", "POST /t/oauth2/v2.0/token", "503 ServiceUnavailable"),
    ] {
        // The first token is the one for the test itself.
        let nth = if kind == "token" { json!([2]) } else { json!([1]) };
        let fault = json!([{ "match": { "type": kind, "nth": nth }, "then": { "status": 503 } }]);
        let cloud = Cloud::with(json!({}), fault, Latency::Instant).await;
        assert_eq!(cloud.send(request, &NONE).await.short(), wanted, "{kind}: {request}");
    }
}
