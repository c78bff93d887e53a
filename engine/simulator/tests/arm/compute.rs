//! Machines, disks, images: what is refused, in which order things have to happen, and what goes along.

use fornax_simulator::Latency;
use serde_json::{Value, json};

use crate::bench::{Cloud, NONE, located};

const PUT: &str = "PUT R/C/virtualMachines/vm";

/// What a machine needs, without the machine.
async fn prepared() -> Cloud {
    let cloud = Cloud::with(
        json!({ "sizes": [{ "name": "Standard_Gone", "restricted": ["westeurope"] },
                          { "name": "Standard_Far", "locations": ["westus2"] },
                          { "name": "Standard_Old", "generations": ["V1"], "max_data_disks": 2 }] }),
        json!([]),
        Latency::Instant,
    )
    .await;
    cloud.with_machine().await;
    cloud.given(&[("DELETE R/C/virtualMachines/vm", NONE)]).await;
    cloud
}

#[tokio::test]
async fn machines_that_are_refused() {
    let cloud = prepared().await;
    let ecdsa = json!({ "disablePasswordAuthentication": true, "ssh": { "publicKeys": [
        { "path": "/home/packer/.ssh/authorized_keys", "keyData": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= x" }] } });
    let astray = json!({ "disablePasswordAuthentication": true, "ssh": { "publicKeys": [{ "path": "/home/other/.ssh/authorized_keys",
        "keyData": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS" }] } });
    let old_image = json!({ "publisher": "Debian", "offer": "debian-12", "sku": "12", "version": "latest" });
    let windows = json!({ "publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2022-datacenter-g2", "version": "latest" });
    let no_image = json!({ "publisher": "Debian", "offer": "debian-12", "sku": "12", "version": "1.2.3" });
    let too_much = "A".repeat(4 * 21846);
    for (what, changes, wanted) in [
        (
            "size",
            json!({ "/properties/hardwareProfile/vmSize": "Standard_Nonsense" }),
            "400 InvalidParameter",
        ),
        (
            "size elsewhere",
            json!({ "/properties/hardwareProfile/vmSize": "Standard_Far" }),
            "400 InvalidParameter",
        ),
        (
            "size out of stock",
            json!({ "/properties/hardwareProfile/vmSize": "Standard_Gone" }),
            "409 SkuNotAvailable",
        ),
        ("generation", json!({ "/properties/hardwareProfile/vmSize": "Standard_Old" }), "400 BadRequest"),
        (
            "image",
            json!({ "/properties/storageProfile/imageReference": no_image }),
            "404 PlatformImageNotFound",
        ),
        (
            "managed image",
            json!({ "/properties/storageProfile/imageReference": { "id": "/x" } }),
            "404 NotFound",
        ),
        (
            "no image",
            json!({ "/properties/storageProfile/imageReference": NONE }),
            "404 PlatformImageNotFound",
        ),
        (
            "trusted launch",
            json!({ "/properties/storageProfile/imageReference": old_image,
            "/properties/securityProfile/securityType": "TrustedLaunch" }),
            "400 BadRequest",
        ),
        ("small disk", json!({ "/properties/storageProfile/osDisk/diskSizeGB": 29 }), "400 InvalidParameter"),
        ("disk name", json!({ "/properties/storageProfile/osDisk/name": "a b" }), "400 InvalidParameter"),
        (
            "disk option",
            json!({ "/properties/storageProfile/osDisk/createOption": "Empty" }),
            "400 InvalidParameter",
        ),
        (
            "no interface",
            json!({ "/properties/networkProfile/networkInterfaces": [] }),
            "400 InvalidParameter",
        ),
        (
            "interface",
            json!({ "/properties/networkProfile/networkInterfaces/0/id": "/none" }),
            "400 InvalidResourceReference",
        ),
        ("interface elsewhere", json!({ "/location": "westus2" }), "400 InvalidResourceReference"),
        ("no location", json!({ "/location": NONE }), "400 LocationRequired"),
        ("user", json!({ "/properties/osProfile/adminUsername": "root" }), "400 InvalidParameter"),
        ("password", json!({ "/properties/osProfile/adminPassword": "secret" }), "400 InvalidParameter"),
        (
            "known password",
            json!({ "/properties/osProfile/adminPassword": "P@ssw0rd" }),
            "400 InvalidParameter",
        ),
        (
            "no way in",
            json!({ "/properties/osProfile/linuxConfiguration": { "disablePasswordAuthentication": true } }),
            "400 InvalidParameter",
        ),
        ("key", json!({ "/properties/osProfile/linuxConfiguration": ecdsa }), "400 InvalidParameter"),
        (
            "key's place",
            json!({ "/properties/osProfile/linuxConfiguration": astray }),
            "400 InvalidParameter",
        ),
        ("computer", json!({ "/properties/osProfile/computerName": "a_b" }), "400 InvalidParameter"),
        (
            "computer in Windows",
            json!({ "/properties/storageProfile/imageReference": windows,
            "/properties/osProfile/computerName": "sixteen-letters-" }),
            "400 InvalidParameter",
        ),
        ("custom data", json!({ "/properties/osProfile/customData": "%" }), "400 InvalidParameter"),
        ("much custom data", json!({ "/properties/osProfile/customData": too_much }), "400 InvalidParameter"),
    ] {
        let answer = cloud.send(PUT, &cloud.vm(changes)).await;
        assert_eq!(answer.short(), wanted, "{what}: {:#}", answer.body);
    }
    for name in ["_vm", "vm-", "vm.", "a b", "a*"] {
        let answer = cloud.send(&format!("PUT R/C/virtualMachines/{name}"), &cloud.vm(json!({}))).await;
        assert_eq!(answer.short(), "400 InvalidParameter", "{name}");
    }
    assert!(cloud.send("GET R/C/disks", &NONE).await.names().is_empty(), "a refusal leaves nothing behind");
    // A computer's name is the machine's unless one is given.
    cloud.table(&[(PUT, cloud.vm(json!({ "/properties/osProfile/computerName": NONE })), "201")]).await;
}

#[tokio::test]
async fn what_a_machine_shows() {
    let cloud = prepared().await;
    let changes =
        json!({ "/properties/osProfile/customData": "aGVsbG8=", "/properties/userData": "aGVsbG8=" });
    cloud.table(&[(PUT, cloud.vm(changes), "201")]).await;
    let found = cloud.send("GET R/C/virtualMachines/vm?$expand=instanceView", &NONE).await.body;
    let text = found.to_string();
    assert!(!text.contains("Secret-1-of-many") && !text.contains("aGVsbG8"), "{text}");
    let properties = &found["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(properties["storageProfile"]["imageReference"]["exactVersion"], "0.20260811.2199");
    assert_eq!(properties["storageProfile"]["osDisk"]["osType"], "Linux");
    assert!(properties["vmId"].is_string() && properties["timeCreated"].is_string());
    let codes = |view: &Value| {
        let list = view["statuses"].as_array().unwrap();
        list.iter().map(|s| s["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&properties["instanceView"]), ["ProvisioningState/succeeded", "PowerState/running"]);
    let disk = cloud.send("GET R/C/disks/os", &NONE).await.body;
    assert_eq!(
        (&disk["properties"]["diskState"], &disk["sku"]["name"]),
        (&json!("Attached"), &json!("Premium_LRS"))
    );
    assert_eq!(disk["managedBy"], cloud.id("C/virtualMachines/vm"));
    let nic = cloud.send("GET R/N/networkInterfaces/n", &NONE).await.body;
    assert_eq!(nic["properties"]["virtualMachine"]["id"], cloud.id("C/virtualMachines/vm"));
}

#[tokio::test]
async fn a_machine_that_exists_changes_little() {
    let cloud = prepared().await;
    let other = json!({ "publisher": "Debian", "offer": "debian-13", "sku": "13-gen2", "version": "latest" });
    cloud
        .table(&[
            (PUT, cloud.vm(json!({})), "201"),
            (PUT, cloud.vm(json!({})), "200"),
            (
                PUT,
                cloud.vm(
                    json!({ "/properties/hardwareProfile/vmSize": "Standard_B2s", "/tags": { "a": "b" } }),
                ),
                "200",
            ),
            (
                PUT,
                cloud.vm(json!({ "/properties/hardwareProfile/vmSize": "Standard_No" })),
                "400 InvalidParameter",
            ),
            (
                PUT,
                cloud.vm(json!({ "/properties/storageProfile/imageReference": other })),
                "409 PropertyChangeNotAllowed",
            ),
            (
                PUT,
                cloud.vm(json!({ "/properties/osProfile/adminUsername": "other" })),
                "409 PropertyChangeNotAllowed",
            ),
            (
                PUT,
                cloud.vm(json!({ "/properties/storageProfile/osDisk/name": "other" })),
                "409 PropertyChangeNotAllowed",
            ),
            (PUT, cloud.vm(json!({ "/location": "westus2" })), "409 InvalidResourceLocation"),
            // The interface and the disk's name are taken now.
            (
                "PUT R/C/virtualMachines/two",
                cloud.vm(json!({ "/properties/storageProfile/osDisk/name": "os2" })),
                "400 NicInUse",
            ),
        ])
        .await;
    let found = cloud.send("GET R/C/virtualMachines/vm", &NONE).await.body;
    assert_eq!(found["properties"]["hardwareProfile"]["vmSize"], "Standard_B2s");
    assert_eq!(found["tags"], json!({ "a": "b" }));
    let nic = cloud.nic("s", None, None);
    cloud.table(&[("PUT R/N/networkInterfaces/n2", nic, "201")]).await;
    let two = cloud.vm(
        json!({ "/properties/networkProfile/networkInterfaces/0/id": cloud.id("N/networkInterfaces/n2") }),
    );
    cloud.table(&[("PUT R/C/virtualMachines/two", two, "409 ConflictingUserInput")]).await;
}

#[tokio::test]
async fn data_disks() {
    let cloud = prepared().await;
    let disks = |list: Value| json!({ "/properties/storageProfile/dataDisks": list });
    let empty =
        |lun: u64, name: &str| json!({ "lun": lun, "name": name, "createOption": "Empty", "diskSizeGB": 8 });
    let attach = |name: &str| json!({ "lun": 0, "createOption": "Attach", "managedDisk": { "id": cloud.id(&format!("C/disks/{name}")) } });
    let mine = located(json!({ "creationData": { "createOption": "Empty" }, "diskSizeGB": 4 }));
    let five: Vec<Value> = (0..5).map(|n| empty(n, &format!("d{n}"))).collect();
    cloud
        .table(&[
            ("PUT R/C/disks/mine", mine, "202"),
            (PUT, cloud.vm(disks(json!([empty(0, "a"), empty(0, "b")]))), "400 InvalidParameter"),
            (PUT, cloud.vm(disks(json!([empty(64, "a")]))), "400 InvalidParameter"),
            (PUT, cloud.vm(disks(json!([{ "lun": 0, "name": "a" }]))), "400 InvalidParameter"),
            (PUT, cloud.vm(disks(json!(five))), "409 OperationNotAllowed"),
            (PUT, cloud.vm(disks(json!([empty(0, "mine")]))), "409 ConflictingUserInput"),
            (PUT, cloud.vm(disks(json!([attach("none")]))), "404 NotFound"),
            (PUT, cloud.vm(disks(json!([attach("mine"), empty(1, "b")]))), "201"),
            ("DELETE R/C/disks/mine", NONE, "409 OperationNotAllowed"),
            ("DELETE R/C/disks/b", NONE, "409 OperationNotAllowed"),
            ("PUT R/N/networkInterfaces/n2", cloud.nic("s", None, None), "201"),
            ("PUT R/C/virtualMachines/two", cloud.vm(json!({
                "/properties/storageProfile/osDisk/name": "os2", "/properties/storageProfile/dataDisks": [attach("mine")],
                "/properties/networkProfile/networkInterfaces/0/id": cloud.id("N/networkInterfaces/n2") })), "409 ConflictingUserInput"),
            // Data disks stay, because nothing says that they go with the machine; the OS disk goes.
            ("DELETE R/C/virtualMachines/vm", NONE, "202"),
            ("GET R/C/disks/os", NONE, "404 ResourceNotFound"),
            ("GET R/C/disks/b", NONE, "200"),
        ])
        .await;
    let disk = cloud.send("GET R/C/disks/mine", &NONE).await.body;
    assert_eq!((&disk["properties"]["diskState"], &disk["managedBy"]), (&json!("Unattached"), &NONE));
    cloud
        .table(&[
            ("DELETE R/C/disks/mine", NONE, "202"),
            ("DELETE R/C/disks/b", NONE, "202"),
            ("DELETE R/C/disks/b", NONE, "204"),
        ])
        .await;
}

#[tokio::test]
async fn disks_and_snapshots_by_hand() {
    let cloud = Cloud::new().await;
    let disk = |option: Value, size: Value| {
        located(json!({ "creationData": { "createOption": option }, "diskSizeGB": size }))
    };
    let copy = |name: &str, location: &str| {
        json!({ "location": location, "properties": {
        "creationData": { "createOption": "Copy", "sourceResourceId": cloud.id(&format!("C/disks/{name}")) }, "incremental": true } })
    };
    let empty = || disk(json!("Empty"), json!(16));
    cloud
        .table(&[
            ("PUT R/C/disks/d", disk(NONE, json!(16)), "400 InvalidParameter"),
            ("PUT R/C/disks/d", disk(json!("Empty"), NONE), "400 InvalidParameter"),
            ("PUT R/C/disks/d", disk(json!("Copy"), json!(16)), "400 InvalidParameter"),
            ("PUT R/C/disks/-d", empty(), "400 InvalidParameter"),
            ("PUT R/C/disks/d", empty(), "202"),
            ("PUT R/C/disks/d", empty(), "202"),
            ("PUT R/C/disks/d", copy("d", "westeurope"), "409 PropertyChangeNotAllowed"),
            (
                "PUT R/C/disks/d",
                json!({ "location": "westus2", "properties": {} }),
                "409 InvalidResourceLocation",
            ),
            (
                "PUT R/C/snapshots/s",
                located(json!({ "creationData": { "createOption": "Copy" } })),
                "400 InvalidParameter",
            ),
            ("PUT R/C/snapshots/s", copy("none", "westeurope"), "404 NotFound"),
            ("PUT R/C/snapshots/s", copy("d", "westus2"), "400 InvalidParameter"),
            ("PUT R/C/snapshots/_s", copy("d", "westeurope"), "400 InvalidParameter"),
            ("PUT R/C/snapshots/s", copy("d", "westeurope"), "202"),
            ("DELETE R/C/disks/d", NONE, "202"),
            ("GET R/C/snapshots/s", NONE, "200"),
            ("DELETE R/C/snapshots/s", NONE, "202"),
            ("DELETE R/C/snapshots/s", NONE, "204"),
        ])
        .await;
}

#[tokio::test]
async fn the_order_of_a_capture() {
    let cloud = prepared().await;
    let image = |location: &str, vm: &str| {
        json!({ "location": location, "properties": {
        "sourceVirtualMachine": { "id": cloud.id(&format!("C/virtualMachines/{vm}")) }, "hyperVGeneration": "V2" } })
    };
    let mut old = image("westeurope", "vm");
    old["properties"]["hyperVGeneration"] = "V1".into();
    let good = || image("westeurope", "vm");
    cloud
        .table(&[
            (PUT, cloud.vm(json!({})), "201"),
            ("PUT R/C/images/i", good(), "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/generalize", NONE, "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/start", NONE, "202"),
            ("POST R/C/virtualMachines/vm/restart", NONE, "202"),
            ("POST R/C/virtualMachines/vm/powerOff", NONE, "202"),
            ("POST R/C/virtualMachines/vm/restart", NONE, "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/start", NONE, "202"),
            ("POST R/C/virtualMachines/vm/powerOff", NONE, "202"),
            ("POST R/C/virtualMachines/vm/generalize", NONE, "200"),
            ("POST R/C/virtualMachines/vm/start", NONE, "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/restart", NONE, "409 OperationNotAllowed"),
            // Switched off is not deallocated.
            ("PUT R/C/images/i", good(), "409 OperationNotAllowed"),
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("POST R/C/virtualMachines/vm/powerOff", NONE, "202"),
            ("PUT R/C/images/i", located(json!({})), "400 InvalidParameter"),
            ("PUT R/C/images/i", image("westeurope", "none"), "404 NotFound"),
            ("PUT R/C/images/i", image("westus2", "vm"), "400 InvalidParameter"),
            ("PUT R/C/images/i", old, "400 InvalidParameter"),
            ("PUT R/C/images/-i", good(), "400 InvalidParameter"),
            ("PUT R/C/images/i", good(), "201"),
            ("PUT R/C/images/i", good(), "200"),
            ("PUT R/C/images/i", image("westeurope", "other"), "409 PropertyChangeNotAllowed"),
            ("PUT R/C/images/i", image("westus2", "vm"), "409 InvalidResourceLocation"),
            ("DELETE R/C/virtualMachines/vm", NONE, "202"),
            ("GET R/C/images/i", NONE, "200"),
        ])
        .await;
    // The image outlives its machine, and makes another one.
    let source = json!({ "id": cloud.id("C/images/I") });
    cloud
        .table(&[
            (PUT, cloud.vm(json!({ "/properties/storageProfile/imageReference": source })), "201"),
            ("DELETE R/C/images/i", NONE, "202"),
            ("DELETE R/C/images/i", NONE, "204"),
            (PUT, cloud.vm(json!({ "/location": NONE })), "400 LocationRequired"),
        ])
        .await;
}

#[tokio::test]
async fn a_generalized_machine_says_so() {
    let cloud = prepared().await;
    let steps = [
        ("", "ProvisioningState/succeeded PowerState/running"),
        ("powerOff", "ProvisioningState/succeeded PowerState/stopped"),
        ("deallocate", "ProvisioningState/succeeded PowerState/deallocated"),
        ("powerOff", "ProvisioningState/succeeded PowerState/deallocated"),
        ("generalize", "ProvisioningState/succeeded PowerState/deallocated OSState/generalized"),
    ];
    cloud.given(&[(PUT, cloud.vm(json!({})))]).await;
    for (action, wanted) in steps {
        if !action.is_empty() {
            let answer = cloud.send(&format!("POST R/C/virtualMachines/vm/{action}"), &NONE).await;
            assert!(answer.status < 300, "{action}: {:#}", answer.body);
        }
        let view = cloud.send("GET R/C/virtualMachines/vm/instanceView", &NONE).await.body;
        let codes: Vec<&str> =
            view["statuses"].as_array().unwrap().iter().filter_map(|s| s["code"].as_str()).collect();
        assert_eq!(codes.join(" "), wanted, "after {action:?}");
    }
}

#[tokio::test]
async fn machines_with_special_security_do_not_become_managed_images() {
    let cloud = prepared().await;
    let image = located(json!({ "sourceVirtualMachine": { "id": cloud.id("C/virtualMachines/vm") } }));
    cloud
        .table(&[
            (PUT, cloud.vm(json!({ "/properties/securityProfile/securityType": "TrustedLaunch" })), "201"),
            ("POST R/C/virtualMachines/vm/deallocate", NONE, "202"),
            ("POST R/C/virtualMachines/vm/generalize", NONE, "200"),
            ("PUT R/C/images/i", image, "409 OperationNotAllowed"),
        ])
        .await;
}

#[tokio::test]
async fn delete_options_say_what_goes_along() {
    for (options, stays) in [
        (json!({ "/properties/storageProfile/osDisk/deleteOption": "Detach" }), &["n", "os", "p"][..]),
        (json!({}), &["n", "p"]),
        (
            json!({ "/properties/networkProfile/networkInterfaces/0/properties": { "deleteOption": "Delete" } }),
            &["p"],
        ),
    ] {
        let cloud = prepared().await;
        cloud.given(&[(PUT, cloud.vm(options.clone())), ("DELETE R/C/virtualMachines/vm", NONE)]).await;
        let mut names = Vec::new();
        for path in ["R/N/networkInterfaces", "R/C/disks", "R/N/publicIPAddresses"] {
            let answer = cloud.send(&format!("GET {path}"), &NONE).await;
            names.extend(answer.names().into_iter().map(str::to_owned));
        }
        assert_eq!(names, stays, "{options}");
    }
}
