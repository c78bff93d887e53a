//! The Resource Manager side: a state machine from request to answer.
//!
//! `dispatch` is the door (faults, authentication, api-versions, headers), `call` and `reply` are what passes through
//! it, the modules by provider hold the rules, and `operation` lets effects take their time.

pub(crate) mod address;
pub(crate) mod call;
pub(crate) mod catalogue;
pub(crate) mod clock;
pub(crate) mod conditional;
pub(crate) mod disk;
pub(crate) mod dispatch;
pub(crate) mod effect;
pub(crate) mod group;
pub(crate) mod identity;
pub(crate) mod image;
pub(crate) mod interface;
pub(crate) mod market;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod operation;
pub(crate) mod provider;
pub(crate) mod reply;
pub(crate) mod resource;
pub(crate) mod security;
pub(crate) mod state;
pub(crate) mod versions;
pub(crate) mod view;
pub(crate) mod virtual_network;
pub(crate) mod vm;
pub(crate) mod vm_create;
pub(crate) mod vm_disks;
