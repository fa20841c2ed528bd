
$stdin.each_line(chomp: true) do |line|
  *fields, now = line.split("\t", -1).map { |field| field.unpack1("m") }
  puts genuine?(*fields, now.to_i) ? "genuine" : "refused"
end
