package core

// An ImagePolicy says which container images may run. It is part of the policy
// of the repo, read from the revision that is obeyed.
type ImagePolicy struct {
	Rules  []ImageRule  // the first that matches decides; an image that none matches is refused
	Fields []ImageField // where custom resources name images, beside what looks like a pod
}

// An ImageRule says what an image of some repositories needs to run.
type ImageRule struct {
	Pos          Pos
	Match        string        // registry/path; * is a part of one path element, a last /** is any path
	AllOf        []ImageSigner // all of them must have signed the image
	Attestations []string      // in-toto predicate types that one of AllOf must have attested
	Digests      []string      // sha256:…; instead of AllOf: these and no others
}

// An ImageSigner is a public key, or else an identity that a Sigstore
// certificate names exactly.
type ImageSigner struct {
	Key     string // PEM
	NoTlog  bool   // with Key: the signature needs no entry in a transparency log
	Issuer  string // of the identity, such as https://accounts.example.com
	Subject string // such as an e-mail address or the URI of a workflow
}

// An ImageField names the fields of a kind that hold images.
type ImageField struct {
	Kind  string   // Kind or Kind.group
	Paths []string // such as spec.workers[*].image
}

// An Untrusted says of an object that stays as it was which of its images the
// policy refuses now.
type Untrusted struct {
	Reason string // image by image
	Absent bool   // one of them does not run: applying the object would bring it in
}
