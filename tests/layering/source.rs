//! The files of `src/` and every path that their code names, read by syntax. What stands under
//! `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Meta, Token, UseTree};

/// The files of a program.
pub(crate) struct Source {
    pub(crate) files: Vec<SourceFile>,
}

pub(crate) struct SourceFile {
    /// Below `src/`: `app/status.rs`.
    pub(crate) path: String,
    /// `["app", "status"]`; empty for `lib.rs`.
    pub(crate) module: Vec<String>,
    pub(crate) names: Vec<Name>,
    pub(crate) lines: usize,
}

/// A path that code names, as far as the file itself says what it stands for: `["crate", "app",
/// "App"]`, `["std", "fs", "write"]`. A macro ends with `!`, a glob import with `*`.
pub(crate) struct Name {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

impl Source {
    /// Reads every file below the folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut texts = Vec::new();
        collect(folder, folder, &mut texts);
        let texts: Vec<(&str, &str)> = texts
            .iter()
            .map(|(path, text)| (&**path, &**text))
            .collect();
        Self::parse(&texts)
    }

    /// Reads files that are given as path and text.
    pub(crate) fn parse(texts: &[(&str, &str)]) -> Self {
        let mut only_for_tests = Vec::new();
        let mut files: Vec<SourceFile> = texts
            .iter()
            .map(|(path, text)| SourceFile::parse(path, text, &mut only_for_tests))
            .collect();
        files.retain(|file| {
            !only_for_tests
                .iter()
                .any(|test| file.module.starts_with(test))
        });
        Self { files }
    }
}

impl SourceFile {
    fn parse(path: &str, text: &str, only_for_tests: &mut Vec<Vec<String>>) -> Self {
        let module = module(path);
        let mut reader = Reader {
            module: module.clone(),
            ..Reader::default()
        };
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        if !is_for_tests(&syntax.attrs) {
            reader.visit_file(&syntax);
        }
        only_for_tests.append(&mut reader.only_for_tests);
        Self {
            path: path.to_owned(),
            module,
            names: reader.names(),
            lines: text.lines().count(),
        }
    }

    /// `app` for `app.rs` and `app/status.rs`, `lib` and `main` for themselves.
    pub(crate) fn top_level(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).unwrap().to_str().unwrap();
            texts.push((below.to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn module(path: &str) -> Vec<String> {
    let names = path.trim_end_matches(".rs").split('/');
    let mut module: Vec<String> = names.map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// A path as it is written.
struct Written {
    /// The module in which it stands.
    module: Vec<String>,
    path: Vec<String>,
    line: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// `::std::fs`
    External,
    Import,
    Macro,
    Other,
}

/// Goes through the syntax of one file.
#[derive(Default)]
struct Reader {
    module: Vec<String>,
    written: Vec<Written>,
    /// What a name that was imported into a module stands for there.
    aliases: BTreeMap<(Vec<String>, String), Vec<Vec<String>>>,
    submodules: BTreeSet<Vec<String>>,
    only_for_tests: Vec<Vec<String>>,
}

impl Reader {
    fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for written in &self.written {
            let paths = match written.kind {
                Kind::External => vec![written.path.clone()],
                kind => self.resolve(&written.module, &written.path, kind, 8),
            };
            for mut path in paths {
                if written.kind == Kind::Macro
                    && let Some(last) = path.last_mut()
                {
                    last.push('!');
                }
                let line = written.line;
                names.push(Name { path, line });
            }
        }
        names
    }

    fn resolve(
        &self,
        module: &[String],
        path: &[String],
        kind: Kind,
        depth: usize,
    ) -> Vec<Vec<String>> {
        let Some((first, rest)) = path.split_first() else {
            return Vec::new();
        };
        if first == "crate" {
            return vec![path.to_vec()];
        }
        let from_here = path
            .iter()
            .take_while(|name| *name == "self" || *name == "super");
        let ups = from_here.clone().filter(|name| *name == "super").count();
        let (count, kept) = (from_here.count(), module.len().saturating_sub(ups));
        if count > 0 {
            return vec![absolute(&module[..kept], &path[count..])];
        }
        let aliases = self.aliases.get(&(module.to_vec(), first.clone()));
        if let Some(aliases) = aliases
            && depth > 0
        {
            let whole = aliases.iter().filter(|alias| alias.first() != Some(first));
            let mut paths: Vec<Vec<String>> = whole
                .flat_map(|alias| self.resolve(module, alias, Kind::Import, depth - 1))
                .map(|start| [start, rest.to_vec()].concat())
                .collect();
            // `use reqwest;` and `use rotation::rotation;` stand for what they say.
            if aliases.iter().any(|alias| alias.first() == Some(first)) {
                paths.push(self.below_or_external(module, path));
            }
            return paths;
        }
        // A single name is more likely that of a variable than of a module.
        if kind == Kind::Import || path.len() > 1 {
            return vec![self.below_or_external(module, path)];
        }
        vec![path.to_vec()]
    }

    /// A path that begins with a submodule of `module`, or with another crate.
    fn below_or_external(&self, module: &[String], path: &[String]) -> Vec<String> {
        let submodule = [module, &path[..1]].concat();
        if self.submodules.contains(&submodule) {
            absolute(module, path)
        } else {
            path.to_vec()
        }
    }

    fn write(&mut self, path: Vec<String>, line: usize, kind: Kind) {
        self.written.push(Written {
            module: self.module.clone(),
            path,
            line,
            kind,
        });
    }

    fn import(&mut self, tree: &UseTree, before: &[String], kind: Kind) {
        match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.import(&path.tree, &before, kind);
            }
            UseTree::Name(name) => self.import_as(before, &name.ident, None, kind),
            UseTree::Rename(rename) => {
                self.import_as(before, &rename.ident, Some(&rename.rename), kind);
            }
            UseTree::Glob(glob) => {
                let path = [before, &["*".to_owned()]].concat();
                self.write(path, glob.star_token.spans[0].start().line, kind);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, kind);
                }
            }
        }
    }

    fn import_as(&mut self, before: &[String], name: &Ident, alias: Option<&Ident>, kind: Kind) {
        let mut path = before.to_vec();
        if name != "self" || path.is_empty() {
            path.push(name.to_string());
        }
        let alias = alias.map(ToString::to_string);
        if let Some(alias) = alias.or_else(|| path.last().cloned()) {
            let key = (self.module.clone(), alias);
            self.aliases.entry(key).or_default().push(path.clone());
        }
        self.write(path, name.span().start().line, kind);
    }

    /// Reads what a macro or an attribute is given, which has no syntax of its own.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Literal(literal) => self.scan_text(&literal.to_string()),
                TokenTree::Ident(ident) if ident == "use" => {
                    let end = tokens[at..].iter().position(|token| is(token, ';'));
                    let end = end.map_or(tokens.len(), |end| at + end + 1);
                    let import = tokens[at - 1..end].iter().cloned().collect();
                    if let Ok(import) = syn::parse2::<ItemUse>(import) {
                        self.visit_item_use(&import);
                        at = end;
                    }
                }
                // A field or a method is nobody's name.
                TokenTree::Ident(_) if follows_a_dot(&tokens[..at - 1]) => {}
                TokenTree::Ident(ident) => {
                    let mut path = vec![ident.to_string()];
                    while let [one, two, TokenTree::Ident(next), ..] = &tokens[at..]
                        && is(one, ':')
                        && is(two, ':')
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    let kind = match &tokens[at..] {
                        [mark, TokenTree::Group(group), ..]
                            if is(mark, '!') && group.delimiter() != Delimiter::None =>
                        {
                            Kind::Macro
                        }
                        _ => Kind::Other,
                    };
                    self.write(path, ident.span().start().line, kind);
                }
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// A path in a string, as in `#[serde(with = "crate::form")]`.
    fn scan_text(&mut self, literal: &str) {
        let text = syn::parse_str::<syn::LitStr>(literal).ok();
        if let Some(text) = text
            && let Ok(path) = text.parse::<syn::Path>()
            && path.segments.len() > 1
        {
            self.visit_path(&path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        } else if let Item::Mod(item) = item {
            let name = item.ident.to_string();
            self.only_for_tests
                .push([&self.module[..], &[name]].concat());
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let moved = item.attrs.iter().any(|attr| attr.path().is_ident("path"));
        assert!(!moved, "`#[path]` hides which file is `{}`", item.ident);
        self.module.push(item.ident.to_string());
        self.submodules.insert(self.module.clone());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let kind = item.leading_colon.map_or(Kind::Import, |_| Kind::External);
        self.import(&item.tree, &[], kind);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = if item.ident == "self" {
            Ident::new("crate", item.ident.span())
        } else {
            item.ident.clone()
        };
        let alias = item.rename.as_ref().map(|(_, alias)| alias);
        self.import_as(&[], &name, alias, Kind::Import);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.write_path(path, Kind::Other);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.write_path(&item.path, Kind::Macro);
        self.scan(item.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::Path(path) => self.visit_path(path),
            Meta::List(list) => {
                self.visit_path(&list.path);
                self.scan(list.tokens.clone());
            }
            Meta::NameValue(pair) if pair.path.is_ident("doc") => {}
            Meta::NameValue(pair) => match &pair.value {
                syn::Expr::Lit(literal) => {
                    if let syn::Lit::Str(text) = &literal.lit {
                        self.scan_text(&text.token().to_string());
                    }
                }
                value => self.visit_expr(value),
            },
        }
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

impl Reader {
    fn write_path(&mut self, path: &syn::Path, kind: Kind) {
        let segments = path.segments.iter();
        let names = segments.map(|segment| segment.ident.to_string()).collect();
        let first = path.segments.first();
        let line = first.map_or(0, |segment| segment.ident.span().start().line);
        let kind = match path.leading_colon {
            Some(_) if kind == Kind::Other => Kind::External,
            _ => kind,
        };
        self.write(names, line, kind);
    }
}

fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    [&["crate".to_owned()], module, path].concat()
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// `value.name`, but not `..name`.
fn follows_a_dot(before: &[TokenTree]) -> bool {
    match before {
        [.., two, one] => is(one, '.') && !is(two, '.'),
        [one] => is(one, '.'),
        [] => false,
    }
}

/// Whether something exists only in tests: `#[cfg(test)]`, `#[cfg(all(test, unix))]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<Meta>()
                .is_ok_and(|meta| needs_test(&meta))
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
