module drpd/compat

go 1.26

require github.com/digitalrebar/provision/v4 v4.7.0
