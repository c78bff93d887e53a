//! The options that say what a build starts from and what it makes.

use serde_json::{Value as Json, json};

use crate::config::{STORAGE, naming};

pub fn source() -> Json {
    json!({
        "image_publisher": {"type": "string",
            "description": "Publisher of the marketplace image to start from; needs `image_offer` and `image_sku`. A build \
                            starts from a marketplace image or from a managed one (`custom_managed_image_name`).",
            "examples": ["Canonical"]},
        "image_offer": {"type": "string", "description": "The marketplace image's offer.",
            "examples": ["ubuntu-24_04-lts"]},
        "image_sku": {"type": "string", "description": "The marketplace image's SKU.", "examples": ["server"]},
        "image_version": {"type": "string", "default": "latest", "description": "The marketplace image's version."},
        "plan_info": {"type": "object", "additionalProperties": false,
            "required": ["plan_name", "plan_product", "plan_publisher"],
            "description": "The plan by which the source image is bought; its terms must have been accepted. It is written \
                            to the tags of the image.",
            "properties": {
                "plan_name": {"type": "string", "description": "Name of the plan."},
                "plan_product": {"type": "string", "description": "Product of the plan, usually the offer."},
                "plan_publisher": {"type": "string", "description": "Publisher of the plan."},
                "plan_promotion_code": {"type": "string", "description": "Code of a promotion."}
            }},
        "custom_managed_image_name": {"type": "string",
            "description": "The managed image to start from; needs `custom_managed_image_resource_group_name`."},
        "custom_managed_image_resource_group_name": {"type": "string", "description": "The resource group of that image."}
    })
}

pub fn destination() -> Json {
    json!({
        "managed_image_name": {"type": "string", "maxLength": naming::IMAGE.longest,
            "description": "Name of the image to make; needs `managed_image_resource_group_name`. Both may be left out with \
                            `skip_create_image` only."},
        "managed_image_resource_group_name": {"type": "string", "maxLength": naming::RESOURCE_GROUP.longest,
            "description": "The resource group for the image; it must exist."},
        "managed_image_storage_account_type": {"type": "string", "x-ignore-case": true,
            "enum": ["Standard_LRS", "StandardSSD_LRS", "Premium_LRS"], "default": STORAGE,
            "description": "Kind of storage of the image and of the machine's disks."},
        "managed_image_zone_resilient": {"type": "boolean", "default": false,
            "description": "Store the image in all zones of the region."},
        "managed_image_os_disk_snapshot_name": {"type": "string", "maxLength": naming::SNAPSHOT.longest,
            "description": "Make a snapshot of the OS disk with this name, too."},
        "managed_image_data_disk_snapshot_prefix": {"type": "string", "maxLength": naming::SNAPSHOT_PREFIX.longest,
            "description": "Make snapshots of the data disks, too, with this name and a number from 0."},
        "skip_create_image": {"type": "boolean", "default": false,
            "description": "Do everything but the capture, to try a template out."},
        "keep_os_disk": {"type": "boolean", "default": false,
            "description": "Leave the OS disk when the machine is deleted; needs `build_resource_group_name`."}
    })
}
