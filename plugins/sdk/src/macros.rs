//! The macros that turn types into a component. Each makes one hidden type that implements the exported interfaces
//! by picking among the given types by name, and puts the description of its world into the binary.

/// Exports provisioners: `export_provisioners!("acme/motd": Motd);`. Version, summary, licence and homepage are
/// those of the crate that calls it.
#[macro_export]
macro_rules! export_provisioners {
    ($name:literal : $($provisioner:ty),+ $(,)?) => {
        const _: () = {
            struct Guest;
            $crate::__describe!(Guest, $name, [$($provisioner),+], []);
            $crate::__provision!(Guest, [$($provisioner),+]);
            $crate::__export_interface!(Guest, plugin, __export_fornax_plugin_plugin_0_1_0_cabi);
            $crate::__export_interface!(Guest, provisioner, __export_fornax_plugin_provisioner_0_1_0_cabi);
            $crate::__export_world!(PROVISIONER);
        };
    };
}

/// Exports post-processors: `export_post_processors!("acme/note": Note);`.
#[macro_export]
macro_rules! export_post_processors {
    ($name:literal : $($post_processor:ty),+ $(,)?) => {
        const _: () = {
            struct Guest;
            $crate::__describe!(Guest, $name, [], [$($post_processor),+]);
            $crate::__process!(Guest, [$($post_processor),+]);
            $crate::__export_interface!(Guest, plugin, __export_fornax_plugin_plugin_0_1_0_cabi);
            $crate::__export_interface!(Guest, post_processor, __export_fornax_plugin_post_processor_0_1_0_cabi);
            $crate::__export_world!(POST_PROCESSOR);
        };
    };
}

/// Exports both kinds: `export_plugin!("acme/all": provisioners [Motd], post_processors [Note]);`.
#[macro_export]
macro_rules! export_plugin {
    ($name:literal : provisioners [$($provisioner:ty),+ $(,)?], post_processors [$($post_processor:ty),+ $(,)?]) => {
        const _: () = {
            struct Guest;
            $crate::__describe!(Guest, $name, [$($provisioner),+], [$($post_processor),+]);
            $crate::__provision!(Guest, [$($provisioner),+]);
            $crate::__process!(Guest, [$($post_processor),+]);
            $crate::__export_interface!(Guest, plugin, __export_fornax_plugin_plugin_0_1_0_cabi);
            $crate::__export_interface!(Guest, provisioner, __export_fornax_plugin_provisioner_0_1_0_cabi);
            $crate::__export_interface!(Guest, post_processor, __export_fornax_plugin_post_processor_0_1_0_cabi);
            $crate::__export_world!(FULL);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($guest:ident, $name:literal, [$($provisioner:ty),*], [$($post_processor:ty),*]) => {
        impl $crate::bindings::exports::fornax::plugin::plugin::Guest for $guest {
            fn describe() -> $crate::bindings::exports::fornax::plugin::plugin::Descriptor {
                $crate::guest::descriptor(
                    $name,
                    [
                        env!("CARGO_PKG_VERSION"),
                        env!("CARGO_PKG_DESCRIPTION"),
                        env!("CARGO_PKG_LICENSE"),
                        env!("CARGO_PKG_HOMEPAGE"),
                    ],
                    vec![
                        $($crate::guest::provisioner::<$provisioner>(),)*
                        $($crate::guest::post_processor::<$post_processor>(),)*
                    ],
                )
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __provision {
    ($guest:ident, [$($provisioner:ty),+]) => {
        impl $crate::bindings::exports::fornax::plugin::provisioner::Guest for $guest {
            fn prepare(
                name: String,
                config: String,
                context: $crate::types::ValidateContext,
            ) -> $crate::Result<$crate::types::Prepared> {
                $(if name == <$provisioner as $crate::Provisioner>::NAME {
                    return $crate::guest::prepare_provisioner::<$provisioner>(&config, context);
                })+
                Err($crate::guest::unknown(&name))
            }

            fn provision(name: String, config: String) -> $crate::Result<$crate::Outcome> {
                $(if name == <$provisioner as $crate::Provisioner>::NAME {
                    return $crate::guest::provision::<$provisioner>(&config);
                })+
                Err($crate::guest::unknown(&name))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __process {
    ($guest:ident, [$($post_processor:ty),+]) => {
        impl $crate::bindings::exports::fornax::plugin::post_processor::Guest for $guest {
            fn prepare(
                name: String,
                config: String,
                context: $crate::types::ValidateContext,
            ) -> $crate::Result<$crate::types::Prepared> {
                $(if name == <$post_processor as $crate::PostProcessor>::NAME {
                    return $crate::guest::prepare_post_processor::<$post_processor>(&config, context);
                })+
                Err($crate::guest::unknown(&name))
            }

            fn process(name: String, config: String) -> $crate::Result<$crate::Processed> {
                $(if name == <$post_processor as $crate::PostProcessor>::NAME {
                    return $crate::guest::process::<$post_processor>(&config);
                })+
                Err($crate::guest::unknown(&name))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    ($guest:ident, $interface:ident, $export:ident) => {
        // Without the export the compiler would call everything unused in a native build.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn exported<T: $crate::bindings::exports::fornax::plugin::$interface::Guest>() {}
            exported::<$guest>();
        };
        // The names of the exports mean something to the linker of a component only; a native one refuses them.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::fornax::plugin::$interface as interface;
    interface::$export!($guest with_types_in interface);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_world {
    ($world:ident) => {
        // SAFETY: a custom section of a WebAssembly module is never loaded or executed.
        #[cfg(target_arch = "wasm32")]
        #[unsafe(link_section = "component-type:fornax-plugin-sdk:exported-world")]
        #[used]
        static WORLD: [u8; $crate::bindings::worlds::$world.len()] =
            $crate::bindings::worlds::section($crate::bindings::worlds::$world);
    };
}
