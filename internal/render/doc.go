// Package render turns the files of an infra repo into Kubernetes objects, and
// mistakes in them into places in those files.
//
// A repo is rendered in the order of Renderer.Render: find the files; load what
// all specs share (cue.mod/module.cue, kinds/, site.cue); read each spec file and
// ask its kind for refs and facts; link the specs by their refs; complete each
// spec with the facts of what it needs; tell the specs that depend on a mistake.
// Of an unchanged tree nothing is evaluated, of a changed file only that file and
// the specs that see other facts than before. Where the file system knows files and
// trees by id (ContentID), what is unchanged is not read either.
//
// A rendering shares the fields of unchanged objects with the one before: they are
// never to be written to.
//
// What the engine knows of a kind is the contract schemas.#Kind and nothing else.
//
// A Problem without a Spec stands for specs that could not be read at all: while
// there is one, what is missing from a Rendering is unknown, not deleted.
//
// What CUE panics on is a Problem, too, of the file that was being evaluated.
//
// CUE evaluation cannot be cancelled: the context is looked at between specs. A
// deadline for a repo that nobody vouches for needs a process of its own.
//
// Charter: the only package that imports CUE. It never imports Kubernetes
// clients, go-git, net or os: rendering touches no network and no host file, and
// runs nothing.
package render
