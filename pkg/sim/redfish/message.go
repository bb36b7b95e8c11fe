package redfish

import (
	"fmt"
	"net/http"
	"strings"
)

// message is one entry of Redfish's extended information. IDs are those of the
// Base registry, so that clients recognize them; the texts are our own.
type message struct {
	ID, Text, Cure string
	Args           []string
}

// problem is a request that cannot be carried out.
type problem struct {
	status  int
	message message
}

func bad(m message) *problem { return &problem{status: http.StatusBadRequest, message: m} }

// registry is the version of the Base message registry that the IDs belong to.
const registry = "Base.1.8."

func fail(w http.ResponseWriter, status int, m message) {
	info := object{
		"@odata.type": "#Message.v1_1_1.Message",
		"MessageId":   registry + m.ID,
		"Message":     m.Text,
		"MessageArgs": append([]string{}, m.Args...),
		"Severity":    "Critical",
		"Resolution":  m.Cure,
	}
	write(w, status, encode(object{"error": object{
		"code":                  registry + "GeneralError",
		"message":               "The request was not carried out. See the extended information.",
		"@Message.ExtendedInfo": []object{info},
	}}))
}

func resourceMissing(path string) message {
	return message{"ResourceMissingAtURI", "There is nothing at " + path + ".", "Start from the links in " + root + ".", []string{path}}
}

func operationNotAllowed() message {
	return message{ID: "OperationNotAllowed", Text: "This method is not for this address.", Cure: "Use a method from the Allow header."}
}

func noValidSession() message {
	return message{ID: "NoValidSession", Text: "The request has no valid login.", Cure: "Use basic authentication, or make a session and send its X-Auth-Token."}
}

func sessionLimit() message {
	return message{ID: "SessionLimitExceeded", Text: fmt.Sprintf("There are %d sessions already.", maxSessions), Cure: "Delete a session, or wait until one times out."}
}

func malformedJSON(err error) message {
	return message{ID: "MalformedJSON", Text: "The body is not the JSON object expected here: " + err.Error() + ".", Cure: "Send a JSON object."}
}

func emptyBody() message {
	return message{ID: "EmptyJSON", Text: "The body changes nothing.", Cure: "Name at least one property."}
}

func unsupportedMedia(kind string) message {
	return message{ID: "GeneralError", Text: fmt.Sprintf("The body is of type %q.", kind), Cure: "Send application/json."}
}

func tooLarge() message {
	return message{ID: "GeneralError", Text: fmt.Sprintf("The body is larger than %d bytes.", maxBody), Cure: "Send less."}
}

func preconditionFailed() message {
	return message{ID: "PreconditionFailed", Text: "The resource has changed since it was read: its ETag differs.", Cure: "Read it again and repeat the change."}
}

func valueTypeError(value, property string) message {
	return message{"PropertyValueTypeError", fmt.Sprintf("The value %s of %s is of the wrong type.", value, property), "Send a value of the type that the schema says.", []string{value, property}}
}

func propertyNotWritable(property string) message {
	return message{"PropertyNotWritable", "The property " + property + " is unknown or cannot be written.", "Leave it out.", []string{property}}
}

func propertyValueNotInList(value, property string, allowed []string) message {
	return message{"PropertyValueNotInList", fmt.Sprintf("The value %q of %s is not one of those allowed.", value, property), "Use one of " + strings.Join(allowed, ", ") + ".", []string{value, property}}
}

func actionParameterMissing(name string) message {
	return message{"ActionParameterMissing", "The action needs the parameter " + name + ".", "Add it.", []string{"ComputerSystem.Reset", name}}
}

func actionParameterNotInList(value, name string, allowed []string) message {
	return message{"ActionParameterValueNotInList", fmt.Sprintf("The value %q of %s is not one of those allowed.", value, name), "Use one of " + strings.Join(allowed, ", ") + ".", []string{value, name, "ComputerSystem.Reset"}}
}

func conflict(text string) message {
	return message{ID: "ResourceInUse", Text: text, Cure: "Read the state and repeat the request when it fits."}
}

func busy() message {
	return message{ID: "ServiceTemporarilyUnavailable", Text: "The service is busy.", Cure: "Try again later.", Args: []string{"1"}}
}

func internalError(err error) message {
	return message{ID: "InternalError", Text: "The simulated machine failed: " + err.Error() + ".", Cure: "Look at the simulator's log."}
}
