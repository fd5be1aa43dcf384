package git

import "cmp"

// Limits bounds what a repo may cost. A zero field means its default.
type Limits struct {
	StoreBytes    int64 // all objects on disk; default 768 MiB: see Repack
	PackBytes     int64 // one fetch, as sent; default 256 MiB
	PackObjects   int   // one fetch; default 1,000,000
	InflatedBytes int64 // all objects of one fetch, inflated; default 32 GiB
	ObjectBytes   int64 // one object of a pack, inflated; default 16 MiB
	BlobBytes     int64 // one file that is read; default 4 MiB
	CommitBytes   int64 // one commit; default 1 MiB
	TreeBytes     int64 // one tree object; default 8 MiB
	TreeEntries   int   // one directory; default 10,000
	Files         int   // all files and directories of one revision; default 100,000
	Depth         int   // directories below each other; default 40
	Parents       int   // of one commit; default 8
	Commits       int   // in one range; default 5,000
	Tags          int   // one fetch of tags; default 1,000
}

func (l Limits) withDefaults() Limits {
	return Limits{
		StoreBytes:    cmp.Or(l.StoreBytes, 768<<20),
		PackBytes:     cmp.Or(l.PackBytes, 256<<20),
		PackObjects:   cmp.Or(l.PackObjects, 1_000_000),
		InflatedBytes: cmp.Or(l.InflatedBytes, 32<<30),
		ObjectBytes:   cmp.Or(l.ObjectBytes, 16<<20),
		BlobBytes:     cmp.Or(l.BlobBytes, 4<<20),
		CommitBytes:   cmp.Or(l.CommitBytes, 1<<20),
		TreeBytes:     cmp.Or(l.TreeBytes, 8<<20),
		TreeEntries:   cmp.Or(l.TreeEntries, 10_000),
		Files:         cmp.Or(l.Files, 100_000),
		Depth:         cmp.Or(l.Depth, 40),
		Parents:       cmp.Or(l.Parents, 8),
		Commits:       cmp.Or(l.Commits, 5_000),
		Tags:          cmp.Or(l.Tags, 1_000),
	}
}
