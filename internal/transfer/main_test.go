package transfer

import (
	"testing"

	"parley/test/clean"
)

func TestMain(m *testing.M) { clean.Main(m) }
