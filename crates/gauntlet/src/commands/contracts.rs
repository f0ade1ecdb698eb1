//! `gauntlet openapi` and `gauntlet proto`: the API's contracts, for those who write clients.

use std::fs;

use gauntlet_proto::FILES;
use gauntlet_server::openapi::{SignInWay, describe};

use super::Context;
use crate::{
    cli::{OpenapiArgs, ProtoArgs},
    output::Failure,
    settings::base_path,
};

/// Prints the description of the player API, with every way of sign-in that a server may have.
pub(super) fn openapi(context: &Context, args: &OpenapiArgs) -> Result<(), Failure> {
    let base = base_path(&args.base_path).map_err(|wrong| {
        Failure::new(format!("--base-path: found {:?}; {}", args.base_path, wrong.problem))
    })?;
    context.output.json(&describe(&base, &[SignInWay::Token, SignInWay::Mock]))
}

/// Writes the proto files below a folder, and says which.
pub(super) fn proto(context: &Context, args: &ProtoArgs) -> Result<(), Failure> {
    for (name, text) in FILES {
        let file = args.out.join(name);
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, text));
        written.map_err(|error| Failure::caused(format_args!("cannot write {}", file.display()), &error))?;
        context.output.data(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
