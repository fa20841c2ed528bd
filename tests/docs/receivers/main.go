package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var fields []string
		for _, field := range strings.Split(lines.Text(), "\t") {
			raw, _ := base64.StdEncoding.DecodeString(field)
			fields = append(fields, string(raw))
		}
		now, _ := strconv.ParseInt(fields[5], 10, 64)
		if IsGenuine([]byte(fields[0]), fields[1], fields[2], fields[3], fields[4], time.Unix(now, 0)) {
			fmt.Println("genuine")
		} else {
			fmt.Println("refused")
		}
	}
}
