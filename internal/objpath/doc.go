// Package objpath is paths to the fields of Kubernetes objects, as plans print
// them and as specs give them:
//
//	.spec.replicas
//	.data["x.json"]
//	.spec.template.spec.containers[name=web].image
//	.spec.ports[port=80,protocol=TCP]
//	.metadata.finalizers[="example.org/hold"]
//	.spec.tolerations[0]
//
// A path means the field that it leads to, and all that is below it. A rule is a
// path for the objects of one kind, or of any.
//
// Charter: standard library only. It knows JSON's shapes, and nothing of what is
// done with a path.
package objpath
