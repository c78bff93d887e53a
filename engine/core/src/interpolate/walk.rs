//! What a text refers to, without rendering it.

use super::parse::{Block, Expr, Pipe, SyntaxError, Tree, parse};

/// Whether the text is well-formed, whatever its actions do.
pub fn check_syntax(source: &str) -> Result<(), SyntaxError> {
    parse(source).map(drop)
}

/// Whether the text calls `user`; a text that does not parse refers to nothing.
pub fn refers_to_user(source: &str) -> bool {
    let mut found = false;
    if let Ok(tree) = parse(source) {
        commands(&tree, &mut |command, _| {
            found |= command.iter().any(|e| matches!(e, Expr::Function(name) if name == "user"));
        });
    }
    found
}

/// The keys that the text asks `build` for, as far as they are written literally, with the places of their actions.
pub fn build_keys(source: &str) -> Vec<(String, usize)> {
    let mut keys = Vec::new();
    if !source.contains("{{") {
        return keys;
    }
    if let Ok(tree) = parse(source) {
        commands(&tree, &mut |command, at| {
            if let [Expr::Function(name), Expr::Str(key)] = command
                && name == "build"
            {
                keys.push((key.clone(), at));
            }
        });
    }
    keys
}

/// The variables that the text names literally.
pub fn user_names(source: &str) -> impl Iterator<Item = String> {
    calls(source).into_iter().filter(|(function, _)| function == "user").filter_map(|(_, name)| name)
}

/// The functions that the text calls, each with its first argument where that is a literal text.
pub fn calls(source: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    if !source.contains("{{") {
        return found;
    }
    if let Ok(tree) = parse(source) {
        commands(&tree, &mut |command, _| {
            for (i, expr) in command.iter().enumerate() {
                if let Expr::Function(name) = expr {
                    let argument = match command.get(1) {
                        Some(Expr::Str(text)) if i == 0 => Some(text.clone()),
                        _ => None,
                    };
                    found.push((name.clone(), argument));
                }
            }
        });
    }
    found
}

/// Calls `f` with every command of a text, those of named templates and of parentheses included, and its place.
fn commands<'a>(tree: &'a Tree, f: &mut dyn FnMut(&'a [Expr], usize)) {
    fn in_pipe<'a>(pipe: &'a Pipe, at: usize, f: &mut dyn FnMut(&'a [Expr], usize)) {
        for command in &pipe.commands {
            f(command, at);
            for expr in command {
                if let Expr::Paren(pipe, _) = expr {
                    in_pipe(pipe, at, f);
                }
            }
        }
    }
    fn in_blocks<'a>(blocks: &'a [Block], f: &mut dyn FnMut(&'a [Expr], usize)) {
        for block in blocks {
            match block {
                Block::Text(_) | Block::Break | Block::Continue => {}
                Block::Print { pipe, at } => in_pipe(pipe, *at, f),
                Block::Call { pipe, at, .. } => pipe.iter().for_each(|p| in_pipe(p, *at, f)),
                Block::If { arms, otherwise, at } => {
                    for (pipe, body) in arms {
                        in_pipe(pipe, *at, f);
                        in_blocks(body, f);
                    }
                    in_blocks(otherwise, f);
                }
                Block::Range { pipe, body, otherwise, at } | Block::With { pipe, body, otherwise, at } => {
                    in_pipe(pipe, *at, f);
                    in_blocks(body, f);
                    in_blocks(otherwise, f);
                }
            }
        }
    }
    in_blocks(&tree.blocks, f);
    tree.named.values().for_each(|blocks| in_blocks(blocks, f));
}
