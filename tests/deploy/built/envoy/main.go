// Command envoy reads a configuration of Envoy into Envoy's own types, as Envoy does: what they do not know, or do not allow, is an error.
//
// Arguments are the file.
package main

import (
	"fmt"
	"log"
	"os"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// validate holds a message, and what is packed in it, against the rules that are written beside its types.
func validate(message proto.Message) error {
	if known, ok := message.(interface{ ValidateAll() error }); ok {
		if err := known.ValidateAll(); err != nil {
			return err
		}
	}
	return protorange.Range(message.ProtoReflect(), func(at protopath.Values) error {
		found, ok := at.Index(-1).Value.Interface().(interface{ Interface() proto.Message })
		if !ok {
			return nil
		}
		packed, ok := found.Interface().(*anypb.Any)
		if !ok {
			return nil
		}
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		fmt.Println(packed.TypeUrl)
		return validate(inner)
	})
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		log.Fatal(err)
	}
	configuration := &bootstrap.Bootstrap{}
	if err := protojson.Unmarshal(asJSON, configuration); err != nil {
		log.Fatal(err)
	}
	if err := validate(configuration); err != nil {
		log.Fatal(err)
	}
}
