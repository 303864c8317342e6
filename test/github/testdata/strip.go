//go:build ignore

// Command strip reduces GitHub's OpenAPI description to what validation needs: no
// prose, examples or extensions. It reads the description and writes it compressed:
//
//	go run strip.go < api.github.com.json > api.github.com.json.gz
package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// prose are the keywords that say nothing about validity. Names of properties
// and the like are left alone, see named.
var prose = map[string]bool{"description": true, "summary": true, "example": true, "examples": true, "externalDocs": true, "tags": true}

// named are the keywords whose value maps names, not keywords.
var named = map[string]bool{"properties": true, "schemas": true, "responses": true, "headers": true, "paths": true, "parameters": true}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "strip:", err)
		os.Exit(1)
	}
}

func run() error {
	var description any
	if err := json.NewDecoder(os.Stdin).Decode(&description); err != nil {
		return fmt.Errorf("reading the description: %w", err)
	}
	out, err := gzip.NewWriterLevel(os.Stdout, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(keywords(description)); err != nil {
		return fmt.Errorf("writing the description: %w", err)
	}
	return out.Close()
}

// keywords strips a value whose keys are keywords of OpenAPI.
func keywords(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, inner := range value {
			switch {
			case strings.HasPrefix(key, "x-"):
			case prose[key]:
			case named[key]:
				kept[key] = names(inner)
			default:
				kept[key] = keywords(inner)
			}
		}
		return kept
	case []any:
		for i := range value {
			value[i] = keywords(value[i])
		}
	}
	return value
}

// names strips the values of a map from names.
func names(value any) any {
	byName, isMap := value.(map[string]any)
	if !isMap {
		return keywords(value)
	}
	for name, inner := range byName {
		byName[name] = keywords(inner)
	}
	return byName
}
