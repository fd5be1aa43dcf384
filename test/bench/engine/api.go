package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// An api is the API server, as it counts the requests that it gets.
type api struct {
	url    string
	client *http.Client
}

func newAPI(cfg *rest.Config) (*api, error) {
	client, err := rest.HTTPClientFor(cfg)
	return &api{cfg.Host, client}, err
}

// counts are requests since the server started, without those to itself.
type counts struct {
	all    float64 // watches count when they end
	writes float64 // that were no dry-run
}

func (c counts) since(before counts) counts {
	return counts{c.all - before.all, c.writes - before.writes}
}

var (
	series = regexp.MustCompile(`^apiserver_request_total\{(.*)\} ([0-9.e+]+)$`)
	writes = regexp.MustCompile(`verb="(APPLY|PATCH|POST|PUT|DELETE|DELETECOLLECTION)"`)
	// What the server asks itself: its leases, the limits of each new namespace, the
	// address of each new service; and what is no resource, such as /metrics.
	itself = regexp.MustCompile(`,resource="(leases|limitranges|ipaddresses)?"`)
)

// requests reads the server's own metrics.
func (a *api) requests(ctx context.Context) (counts, error) {
	var c counts
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/metrics", nil)
	if err != nil {
		return c, err
	}
	resp, err := a.client.Do(q)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := series.FindStringSubmatch(lines.Text())
		if m == nil || itself.MatchString(m[1]) {
			continue
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return c, fmt.Errorf("metrics of the API server: %w", err)
		}
		c.all += n
		if writes.MatchString(m[1]) && strings.Contains(m[1], `dry_run=""`) {
			c.writes += n
		}
	}
	if c.all == 0 && lines.Err() == nil {
		return c, errors.New("the API server's metrics count no requests")
	}
	return c, lines.Err()
}
