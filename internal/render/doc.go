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
// All that is asked of CUE goes through an evaluator, and comes back as plain data:
// in this process (local.go), or in a Child that runs Serve (child.go, serve.go). CUE
// evaluation cannot be cancelled, so in this process the context is looked at between
// specs; a child can be stopped whatever it is at.
//
// Charter: the only package that imports CUE. It never imports Kubernetes
// clients, go-git, net or os: rendering touches no network and no host file, and
// runs nothing.
package render
