
while (($line = fgets(STDIN)) !== false) {
    $fields = array_map('base64_decode', explode("\t", trim($line, "\n")));
    $now = (int) array_pop($fields);
    echo is_genuine(...[...$fields, $now]) ? "genuine\n" : "refused\n";
}
