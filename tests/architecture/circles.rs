//! Circles of imports between the files of a folder, its subfolders included. A parent and its children may know
//! each other, because the language makes them; siblings may not, whether directly or
//! through their own children.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::rules::{paths, statements};
use crate::source::{Source, is_test_file};

/// A module, as the components of its path below the crate.
type Module = Vec<String>;

/// Siblings, and those of their siblings that they import from.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The circles among the files below a folder, one line each.
pub(crate) fn circles(sources: &[Source], folder: &str) -> Vec<String> {
    let folder = Folder::new(sources, folder);
    let mut graph = Graph::new();
    for (from, source) in &folder.modules {
        let statements = statements(source);
        let imported = statements.iter().flat_map(|(_, code)| paths(code));
        for to in imported.filter_map(|path| folder.target(from, &path)) {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if shared < from.len().min(to.len()) {
                let (from, to) = (from[..=shared].to_vec(), to[..=shared].to_vec());
                graph.entry(from).or_default().insert(to);
            }
        }
    }
    let circles = graph.keys().filter_map(|start| way_back(&graph, start));
    // Each circle is found from all of its modules: it is reported from the first.
    let once = circles.filter(|circle| circle.iter().min() == circle.first());
    once.map(|circle| {
        let names: Vec<_> = circle.iter().map(|module| module.join("::")).collect();
        format!("{} import each other: move what they share below them", names.join(" -> "))
    })
    .collect()
}

/// The sources of a folder, by their modules.
struct Folder<'a> {
    modules: BTreeMap<Module, &'a Source>,
    /// The child that a name of a module comes from.
    reexports: BTreeMap<(Module, String), Module>,
}

impl<'a> Folder<'a> {
    fn new(sources: &'a [Source], folder: &str) -> Self {
        let below = sources.iter().filter(|it| it.path.starts_with(folder));
        let production = below.filter(|it| !is_test_file(&it.path));
        let modules: BTreeMap<_, _> = production.map(|it| (module(&it.path), it)).collect();
        let mut reexports = BTreeMap::new();
        for (module, source) in &modules {
            let statements = statements(source);
            let public = statements.iter().filter(|(_, code)| code.trim().starts_with("pub"));
            for path in public.flat_map(|(_, code)| paths(code)) {
                let Some((child, name)) = path.split_once("::") else { continue };
                let child = child_of(module, child);
                if modules.contains_key(&child) {
                    reexports.insert((module.clone(), name.to_owned()), child);
                }
            }
        }
        Self { modules, reexports }
    }

    /// The module of this folder that a path leads to from one of its modules.
    fn target(&self, from: &Module, path: &str) -> Option<Module> {
        let mut parts = path.split("::").peekable();
        let mut found = match *parts.peek()? {
            "crate" => Module::new(),
            "super" => from.clone(),
            _ => return None,
        };
        parts.next_if_eq(&"crate");
        while parts.next_if_eq(&"super").is_some() {
            found.pop();
        }
        for part in parts {
            let child = child_of(&found, part);
            if self.modules.contains_key(&child) {
                found = child;
                continue;
            }
            if let Some(child) = self.reexports.get(&(found.clone(), part.to_owned())) {
                found.clone_from(child);
            }
            break;
        }
        self.modules.contains_key(&found).then_some(found)
    }
}

/// The shortest way from a module back to it, without its end.
fn way_back(graph: &Graph, start: &Module) -> Option<Vec<Module>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

fn module(path: &str) -> Module {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

fn child_of(parent: &[String], name: &str) -> Module {
    [parent, &[name.to_owned()]].concat()
}
