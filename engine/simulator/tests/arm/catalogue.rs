//! Providers, quota, sizes, platform images, plans and their terms.

use fornax_simulator::Latency;
use serde_json::{Value, json};

use crate::bench::{Cloud, NONE, address, vnet};

#[tokio::test]
async fn providers_are_registered_before_they_are_used() {
    let seed = json!({ "unregistered_providers": ["microsoft.network"] });
    let cloud = Cloud::with(seed, json!([]), Latency::Instant).await;
    let state = async || {
        let answer = cloud.send("GET S/providers/MICROSOFT.network", &NONE).await;
        answer.body["registrationState"].as_str().unwrap().to_owned()
    };
    assert_eq!(state().await, "NotRegistered");
    let refused = cloud.send("PUT R/N/virtualNetworks/vn", &vnet(&["s"])).await;
    assert_eq!(refused.short(), "409 MissingSubscriptionRegistration");
    assert_eq!(refused.body["error"]["details"][0]["target"], "Microsoft.Network");
    cloud
        .table(&[
            ("GET R/N/virtualNetworks/vn", NONE, "404 ResourceNotFound"),
            ("HEAD R/N/virtualNetworks/vn", NONE, "404"),
            ("POST S/providers/Contoso.Toast/register", NONE, "404 InvalidResourceNamespace"),
        ])
        .await;
    let answer = cloud.send("POST S/providers/microsoft.NETWORK/register", &NONE).await;
    assert_eq!(answer.body["registrationState"], "Registering");
    assert_eq!(answer.body["namespace"], "Microsoft.Network");
    assert_eq!(state().await, "Registered");
    cloud.table(&[("PUT R/N/virtualNetworks/vn", vnet(&["s"]), "201")]).await;
    let list = cloud.send("GET S/providers", &NONE).await.body;
    let names: Vec<&str> =
        list["value"].as_array().unwrap().iter().filter_map(|p| p["namespace"].as_str()).collect();
    assert_eq!(
        names,
        ["Microsoft.Compute", "Microsoft.Network", "Microsoft.Resources", "Microsoft.MarketplaceOrdering"]
    );
    let compute = cloud.send("GET S/providers/Microsoft.Compute", &NONE).await.body;
    let disks =
        compute["resourceTypes"].as_array().unwrap().iter().find(|t| t["resourceType"] == "disks").unwrap();
    assert!(disks["apiVersions"].as_array().unwrap().contains(&json!("2024-03-02")));
    assert!(disks["locations"].as_array().unwrap().contains(&json!("West Europe")));
}

#[tokio::test]
async fn subscriptions_tenants_and_locations() {
    let cloud = Cloud::new().await;
    let known = cloud.simulator.credentials().clone();
    for (request, pointer, wanted) in [
        ("GET /subscriptions", "/value/0/subscriptionId", &known.subscription_id),
        ("GET S", "/state", &"Enabled".to_owned()),
        ("GET S", "/tenantId", &known.tenant_id),
        ("GET /tenants", "/value/0/tenantId", &known.tenant_id),
        ("GET S/locations", "/value/0/name", &"australiaeast".to_owned()),
    ] {
        let answer = cloud.send(request, &NONE).await;
        assert_eq!(answer.body.pointer(pointer), Some(&json!(wanted)), "{request}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn quota() {
    for (name, limit, text) in [
        ("cores", 3, "exceeding approved Total Regional Cores quota"),
        ("standardBSFamily", 3, "exceeding approved standardBSFamily Cores quota"),
        ("virtualMachines", 1, "exceeding approved Virtual Machines quota"),
    ] {
        let seed = json!({ "quota": [{ "name": name, "limit": limit }] });
        let cloud = Cloud::with(seed, json!([]), Latency::Instant).await;
        cloud.with_machine().await;
        cloud.given(&[("PUT R/N/networkInterfaces/n2", cloud.nic("s", None, None))]).await;
        let usages = cloud.send("GET S/C/locations/westeurope/usages", &NONE).await.body;
        let usage =
            usages["value"].as_array().unwrap().iter().find(|u| u["name"]["value"] == name).unwrap().clone();
        assert_eq!((&usage["currentValue"], &usage["limit"]), (&json!(1), &json!(limit)), "{name}");
        let second = cloud.vm(json!({
            "/properties/hardwareProfile/vmSize": "Standard_B4ms", "/properties/storageProfile/osDisk/name": "os2",
            "/properties/networkProfile/networkInterfaces/0/id": cloud.id("N/networkInterfaces/n2") }));
        let answer = cloud.send("PUT R/C/virtualMachines/two", &second).await;
        assert_eq!(answer.short(), "409 OperationNotAllowed", "{name}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(text) && message.contains(&format!("Current Limit: {limit}, Current Usage: 1")),
            "{message}"
        );
        cloud.given(&[("DELETE R/C/virtualMachines/vm", NONE)]).await;
        let fits = if name == "virtualMachines" { "201" } else { "409 OperationNotAllowed" };
        assert_eq!(cloud.send("PUT R/C/virtualMachines/two", &second).await.short(), fits, "{name}");
    }
}

#[tokio::test]
async fn deallocated_machines_free_their_cores() {
    let seed = json!({ "quota": [{ "name": "cores", "limit": 1 }] });
    let cloud = Cloud::with(seed, json!([]), Latency::Instant).await;
    cloud.with_machine().await;
    let second = || {
        cloud.vm(json!({ "/properties/storageProfile/osDisk/name": "os2",
        "/properties/networkProfile/networkInterfaces/0/id": cloud.id("N/networkInterfaces/n2") }))
    };
    cloud
        .table(&[
            ("PUT R/N/networkInterfaces/n2", cloud.nic("s", None, None), "201"),
            ("PUT R/C/virtualMachines/two", second(), "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/powerOff", NONE, "202"),
            ("PUT R/C/virtualMachines/two", second(), "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("PUT R/C/virtualMachines/two", second(), "201"),
        ])
        .await;
}

#[tokio::test]
async fn platform_images() {
    let cloud = Cloud::new().await;
    let base = "S/C/locations/West%20Europe/publishers";
    for (path, wanted) in [
        (
            format!("{base}/canonical/artifacttypes/vmimage/offers/UBUNTU-24_04-LTS/skus"),
            &["minimal", "server", "server-gen1"][..],
        ),
        (
            format!("{base}/Canonical/artifacttypes/vmimage/offers/ubuntu-24_04-lts/skus/server/versions"),
            &["24.04.202501010", "24.04.202609040"],
        ),
        (
            format!(
                "{base}/Canonical/artifacttypes/vmimage/offers/ubuntu-24_04-lts/skus/server/versions?$top=1&$orderby=name desc"
            ),
            &["24.04.202609040"],
        ),
        (
            format!(
                "{base}/Canonical/artifacttypes/vmimage/offers/ubuntu-24_04-lts/skus/server/versions?$top=1"
            ),
            &["24.04.202501010"],
        ),
    ] {
        let answer = cloud.send(&format!("GET {path}"), &NONE).await;
        assert_eq!(
            (answer.names().as_slice(), answer.body.is_array()),
            (wanted, true),
            "{path}: lists are bare arrays"
        );
    }
    let version = format!(
        "GET {base}/resf/artifacttypes/vmimage/offers/rockylinux-x86_64/skus/9-lvm/versions/9.6.20260531"
    );
    let found = cloud.send(&version, &NONE).await.body;
    assert_eq!(
        found["properties"]["plan"],
        json!({ "name": "9-lvm", "publisher": "resf", "product": "rockylinux-x86_64" })
    );
    assert_eq!(found["properties"]["hyperVGeneration"], "V2");
    for (path, wanted) in [
        (
            format!("{base}/Canonical/artifacttypes/vmimage/offers/ubuntu-24_04-lts/skus/none/versions"),
            "404 PlatformImageNotFound",
        ),
        (
            format!("{base}/Canonical/artifacttypes/vmimage/offers/ubuntu-24_04-lts/skus/server/versions/1"),
            "404 PlatformImageNotFound",
        ),
        ("S/C/locations/atlantis/publishers".into(), "400 InvalidParameter"),
        ("S/C/locations/westeurope/nothing".into(), "404 NotFound"),
        ("S/N/locations/atlantis/usages".into(), "400 InvalidParameter"),
    ] {
        assert_eq!(cloud.send(&format!("GET {path}"), &NONE).await.short(), wanted, "{path}");
    }
}

#[tokio::test]
async fn sizes() {
    let seed = json!({ "sizes": [{ "name": "Standard_X", "locations": ["westus2", "West Europe"], "restricted": ["westus2"] }] });
    let cloud = Cloud::with(seed, json!([]), Latency::Instant).await;
    let offers = |body: &Value| -> Vec<(String, usize)> {
        body["value"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|s| s["name"] == "Standard_X")
            .map(|s| {
                (s["locations"][0].as_str().unwrap().to_owned(), s["restrictions"].as_array().unwrap().len())
            })
            .collect()
    };
    for (filter, wanted) in [
        ("?$filter=location eq 'West Europe'", &[("westeurope", 0)][..]),
        ("?$filter=location eq 'westus2'", &[("westus2", 1)]),
        ("?$filter=location eq 'eastus'", &[]),
        ("", &[("westeurope", 0), ("westus2", 1)]),
    ] {
        let found = offers(&cloud.send(&format!("GET S/C/skus{filter}"), &NONE).await.body);
        let found: Vec<(&str, usize)> = found.iter().map(|(place, n)| (place.as_str(), *n)).collect();
        assert_eq!(found, wanted, "{filter}");
    }
    cloud.table(&[("GET S/C/skus?$filter=name eq 'Standard_X'", NONE, "400 InvalidParameter")]).await;
}

const OLD: &str = "S/M/agreements/cisco/offers/cisco-csr-1000v/plans/17_3_4a-byol";
const NEW: &str = "S/M/offerTypes/virtualmachine/publishers/cisco/offers/cisco-csr-1000v/plans/17_3_4a-byol/agreements/current";

#[tokio::test]
async fn terms_are_read_accepted_and_cancelled_in_both_forms() {
    let cloud = Cloud::new().await;
    for (request, body, accepted) in [
        (format!("GET {OLD}"), NONE, false),
        (format!("GET {NEW}"), NONE, false),
        (format!("PUT {NEW}"), json!({ "properties": { "accepted": true } }), true),
        (format!("GET {OLD}"), NONE, true),
        (format!("POST {OLD}/cancel"), NONE, false),
        (format!("GET {NEW}"), NONE, false),
        (format!("POST {OLD}/sign"), NONE, true),
        (format!("GET {NEW}"), NONE, true),
        (format!("PUT {NEW}"), json!({ "properties": {} }), false),
    ] {
        let answer = cloud.send(&request, &body).await;
        assert_eq!(
            (answer.status, &answer.body["properties"]["accepted"]),
            (200, &json!(accepted)),
            "{request}"
        );
        assert_eq!(answer.body["properties"]["plan"], "17_3_4a-byol");
    }
    for (request, wanted) in [
        (format!("GET {}", OLD.replace("csr", "none")), "400 BadRequest"),
        (format!("POST {OLD}/burn"), "404 NotFound"),
        (format!("DELETE {NEW}"), "405 MethodNotAllowed"),
        (format!("DELETE {OLD}"), "405 MethodNotAllowed"),
    ] {
        assert_eq!(cloud.send(&request, &NONE).await.short(), wanted, "{request}");
    }
}

#[tokio::test]
async fn plans() {
    let cloud = Cloud::new().await;
    cloud
        .given(&[
            ("PUT R/N/virtualNetworks/vn", vnet(&["s"])),
            ("PUT R/N/publicIPAddresses/p", address()),
            ("PUT R/N/networkInterfaces/n", cloud.nic("s", Some("p"), None)),
        ])
        .await;
    let image = |publisher: &str, offer: &str, sku: &str| json!({ "publisher": publisher, "offer": offer, "sku": sku, "version": "latest" });
    let cisco = image("cisco", "cisco-csr-1000v", "17_3_4a-byol");
    let rocky = image("resf", "rockylinux-x86_64", "9-lvm");
    let plan = |publisher: &str, product: &str, name: &str| json!({ "publisher": publisher, "product": product, "name": name });
    let rocky_plan = plan("RESF", "rockylinux-x86_64", "9-lvm");
    let cisco_plan = plan("cisco", "cisco-csr-1000v", "17_3_4a-byol");
    let debian = image("Debian", "debian-12", "12-gen2");
    let vm = |image: &Value, plan: &Value| {
        cloud.vm(json!({ "/properties/storageProfile/imageReference": image, "/plan": plan }))
    };
    const PUT: &str = "PUT R/C/virtualMachines/vm";
    cloud
        .table(&[
            (PUT, vm(&rocky, &NONE), "400 VMMarketplaceInvalidInput"),
            (PUT, vm(&rocky, &cisco_plan), "400 VMMarketplaceInvalidInput"),
            (PUT, vm(&debian, &rocky_plan), "400 VMMarketplaceInvalidInput"),
            (PUT, vm(&cisco, &cisco_plan), "400 MarketplacePurchaseEligibilityFailed"),
            (PUT, vm(&rocky, &rocky_plan), "201"),
        ])
        .await;
    let answer = cloud.send("PUT R/C/virtualMachines/two", &vm(&cisco, &cisco_plan)).await;
    assert_eq!(answer.body["error"]["details"][0]["code"], "BadRequest");
    let text = answer.body["error"]["details"][0]["message"].as_str().unwrap();
    assert!(text.contains("Legal terms have not been accepted"), "{text}");
    // An image made of it inherits the plan.
    let capture =
        crate::bench::located(json!({ "sourceVirtualMachine": { "id": cloud.id("C/virtualMachines/vm") } }));
    let own = json!({ "id": cloud.id("C/images/i") });
    cloud
        .table(&[
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("POST R/C/virtualMachines/vm/generalize", NONE, "200"),
            ("PUT R/C/images/i", capture, "201"),
            ("DELETE R/C/virtualMachines/vm", NONE, "202"),
            (PUT, vm(&own, &NONE), "400 VMMarketplaceInvalidInput"),
            (PUT, vm(&own, &rocky_plan), "201"),
        ])
        .await;
}
